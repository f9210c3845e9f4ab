ALTER TABLE agents VALIDATE CONSTRAINT agents_owned;
ALTER TABLE campaigns VALIDATE CONSTRAINT campaigns_owned;

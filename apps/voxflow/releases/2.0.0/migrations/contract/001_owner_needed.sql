ALTER TABLE agents VALIDATE CONSTRAINT agents_owner;
ALTER TABLE campaigns VALIDATE CONSTRAINT campaigns_owner;
ALTER TABLE agents ADD CONSTRAINT agents_owned CHECK (owner_id IS NOT NULL) NOT VALID;
ALTER TABLE campaigns ADD CONSTRAINT campaigns_owned CHECK (owner_id IS NOT NULL) NOT VALID;

ALTER TABLE agents DROP CONSTRAINT agents_owner;
ALTER TABLE campaigns DROP CONSTRAINT campaigns_owner;

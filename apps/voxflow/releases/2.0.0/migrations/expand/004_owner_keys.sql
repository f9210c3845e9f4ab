-- changeover: allows-old-writes 1.0.0 names no owner, and the default is the administrator, who is there
ALTER TABLE agents ADD CONSTRAINT agents_owner FOREIGN KEY (owner_id) REFERENCES users NOT VALID;
ALTER TABLE campaigns ADD CONSTRAINT campaigns_owner FOREIGN KEY (owner_id) REFERENCES users NOT VALID;

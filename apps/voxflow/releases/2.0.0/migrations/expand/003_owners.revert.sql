ALTER TABLE agents DROP COLUMN owner_id, DROP COLUMN shared, DROP COLUMN made_by;
ALTER TABLE campaigns DROP COLUMN owner_id, DROP COLUMN shared, DROP COLUMN made_by;

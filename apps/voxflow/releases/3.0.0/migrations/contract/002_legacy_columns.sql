ALTER TABLE agents DROP COLUMN shared, DROP COLUMN made_by;
ALTER TABLE campaigns DROP COLUMN shared, DROP COLUMN made_by;
ALTER TABLE users DROP COLUMN contract;

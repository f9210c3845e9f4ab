-- 3.0.0 names no contract: whoever it registers is a tenant, on the way back to 2.1.0, too.
ALTER TABLE users ALTER COLUMN contract SET DEFAULT 'tenant';

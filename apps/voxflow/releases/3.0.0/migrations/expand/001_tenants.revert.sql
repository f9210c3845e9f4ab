ALTER TABLE users ALTER COLUMN contract SET DEFAULT 'legacy';

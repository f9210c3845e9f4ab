ALTER TABLE changeover.measurement ADD COLUMN direction text NOT NULL DEFAULT 'apply';
ALTER TABLE changeover.measurement ALTER COLUMN direction DROP DEFAULT;
ALTER TABLE changeover.measurement DROP CONSTRAINT measurement_pkey;
ALTER TABLE changeover.measurement ADD PRIMARY KEY (migration_id, direction, number);
COMMENT ON COLUMN changeover.measurement.direction IS 'apply, or revert';

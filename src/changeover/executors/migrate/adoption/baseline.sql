CREATE TABLE changeover.baseline (
    alone boolean PRIMARY KEY DEFAULT true CHECK (alone),
    release text NOT NULL,
    trusted text[] NOT NULL,
    recorded jsonb NOT NULL,
    fence bigint NOT NULL,
    runner text NOT NULL,
    adopted_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE changeover.baseline IS 'Where the ledger began, when the schema was there before it: one row';
COMMENT ON COLUMN changeover.baseline.alone IS 'Keeps the table at one row';
COMMENT ON COLUMN changeover.baseline.release IS 'Version of the release whose schema the database had';
COMMENT ON COLUMN changeover.baseline.trusted IS 'What was taken for true without proof, because a person said so';
COMMENT ON COLUMN changeover.baseline.recorded IS 'What other migration tools had recorded: tool, table, applied, failed';
COMMENT ON COLUMN changeover.baseline.fence IS 'Fencing number of the hand that adopted it';
COMMENT ON COLUMN changeover.baseline.runner IS 'Runner that adopted it';
COMMENT ON COLUMN changeover.baseline.adopted_at IS 'When it was adopted';

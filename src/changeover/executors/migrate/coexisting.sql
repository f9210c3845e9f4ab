CREATE TABLE changeover.coexisting (
    migration_id text PRIMARY KEY,
    digest text NOT NULL,
    works boolean NOT NULL,
    role text NOT NULL,
    statements integer NOT NULL,
    deployment text NOT NULL,
    fence bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE changeover.coexisting IS 'Whether what the old version runs worked beside each migration in the last rehearsal';
COMMENT ON COLUMN changeover.coexisting.migration_id IS 'release/phase/NNN_name';
COMMENT ON COLUMN changeover.coexisting.digest IS 'sha256 of what was run, and of what the release does before contract; another content is not proved';
COMMENT ON COLUMN changeover.coexisting.works IS 'Whether it did the same before and after';
COMMENT ON COLUMN changeover.coexisting.role IS 'The app''s role, which ran it';
COMMENT ON COLUMN changeover.coexisting.statements IS 'How many statements it has';
COMMENT ON COLUMN changeover.coexisting.deployment IS 'The deployment that rehearsed it';
COMMENT ON COLUMN changeover.coexisting.fence IS 'Fencing number of that deployment';
COMMENT ON COLUMN changeover.coexisting.at IS 'When it was written down';

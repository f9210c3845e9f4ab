CREATE TABLE changeover.own (
    release text PRIMARY KEY,
    bundle text NOT NULL,
    command text[] NOT NULL,
    state text NOT NULL CHECK (state IN ('running', 'applied', 'failed', 'undoing', 'undone')),
    how text NOT NULL DEFAULT '',
    exit integer,
    seconds double precision,
    schema_before text NOT NULL DEFAULT '',
    schema_after text NOT NULL DEFAULT '',
    undo_proved boolean NOT NULL DEFAULT false,
    deployment text NOT NULL,
    backup text NOT NULL,
    host text NOT NULL,
    fence bigint NOT NULL,
    runner text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE changeover.own IS 'One row for each release whose app migrated the database by a command of its own';
COMMENT ON COLUMN changeover.own.release IS 'Version of the release';
COMMENT ON COLUMN changeover.own.bundle IS 'sha256 of the bundle that the command came from';
COMMENT ON COLUMN changeover.own.command IS 'The command''s words';
COMMENT ON COLUMN changeover.own.state IS 'running and undoing are under way or were cut off; a plain re-run finishes them';
COMMENT ON COLUMN changeover.own.how IS 'executed, or found (its status command had nothing left to do)';
COMMENT ON COLUMN changeover.own.exit IS 'Exit code of the latest run; null where it was ended';
COMMENT ON COLUMN changeover.own.seconds IS 'How long the latest run took';
COMMENT ON COLUMN changeover.own.schema_before IS 'sha256 of all definitions before it first ran, this ledger left out';
COMMENT ON COLUMN changeover.own.schema_after IS 'The same after the latest run';
COMMENT ON COLUMN changeover.own.undo_proved IS 'Whether the rehearsal showed that its undo brings back the schema and the rows';
COMMENT ON COLUMN changeover.own.deployment IS 'Deployment of the latest run';
COMMENT ON COLUMN changeover.own.backup IS 'Backup from before it first ran; empty where nothing was live then';
COMMENT ON COLUMN changeover.own.host IS 'Host that it ran on';
COMMENT ON COLUMN changeover.own.fence IS 'Fencing number of that deployment';
COMMENT ON COLUMN changeover.own.runner IS 'Runner that changed the row last';
COMMENT ON COLUMN changeover.own.started_at IS 'When it first began; anew after it was undone';
COMMENT ON COLUMN changeover.own.changed_at IS 'When its state changed last';

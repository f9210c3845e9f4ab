CREATE SCHEMA changeover;
COMMENT ON SCHEMA changeover IS 'What changeover did to this database; ledger format 1';

CREATE TABLE changeover.fence (
    alone boolean PRIMARY KEY DEFAULT true CHECK (alone),
    number bigint NOT NULL,
    runner text NOT NULL,
    taken_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE changeover.fence IS 'Who may migrate: one row, checked in every transaction of a runner';
COMMENT ON COLUMN changeover.fence.alone IS 'Keeps the table at one row';
COMMENT ON COLUMN changeover.fence.number IS 'Highest fencing number of a deployment so far; an older one is refused';
COMMENT ON COLUMN changeover.fence.runner IS 'Random name of the runner that took the lock last; any other one is refused';
COMMENT ON COLUMN changeover.fence.taken_at IS 'When it took the lock';
INSERT INTO changeover.fence (number, runner) VALUES (0, '');

CREATE TABLE changeover.migration (
    id text PRIMARY KEY,
    position bigint GENERATED ALWAYS AS IDENTITY,
    release text NOT NULL,
    phase text NOT NULL CHECK (phase IN ('expand', 'backfill', 'contract')),
    checksum text NOT NULL,
    state text NOT NULL CHECK (state IN ('running', 'applied', 'reverting', 'reverted')),
    statements integer NOT NULL,
    fence bigint NOT NULL,
    runner text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE changeover.migration IS 'One row for each migration that was begun';
COMMENT ON COLUMN changeover.migration.id IS 'release/phase/NNN_name';
COMMENT ON COLUMN changeover.migration.position IS 'Order in which migrations were first begun';
COMMENT ON COLUMN changeover.migration.release IS 'Version of the release it belongs to';
COMMENT ON COLUMN changeover.migration.phase IS 'expand, backfill or contract';
COMMENT ON COLUMN changeover.migration.checksum IS 'sha256 of the file that was run';
COMMENT ON COLUMN changeover.migration.state IS 'running and reverting are cut short or under way; a plain re-run finishes them';
COMMENT ON COLUMN changeover.migration.statements IS 'Number of statements in the file';
COMMENT ON COLUMN changeover.migration.fence IS 'Fencing number of the deployment that changed the row last';
COMMENT ON COLUMN changeover.migration.runner IS 'Runner that changed the row last';
COMMENT ON COLUMN changeover.migration.started_at IS 'When it was first begun';
COMMENT ON COLUMN changeover.migration.changed_at IS 'When its state changed last';

CREATE TABLE changeover.statement (
    migration_id text NOT NULL REFERENCES changeover.migration (id),
    direction text NOT NULL CHECK (direction IN ('apply', 'revert')),
    number integer NOT NULL,
    sql text NOT NULL,
    state text NOT NULL CHECK (state IN ('intended', 'done')),
    how text NOT NULL DEFAULT '',
    before text[] NOT NULL DEFAULT '{}',
    cursor text,
    rows_done bigint NOT NULL DEFAULT 0,
    milliseconds double precision,
    fence bigint NOT NULL,
    begun_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    done_at timestamptz,
    PRIMARY KEY (migration_id, direction, number)
);
COMMENT ON TABLE changeover.statement IS 'One row for each statement done, or intended where no transaction can hold it';
COMMENT ON COLUMN changeover.statement.migration_id IS 'The migration it belongs to';
COMMENT ON COLUMN changeover.statement.direction IS 'apply, or revert for those of the revert file';
COMMENT ON COLUMN changeover.statement.number IS 'Its place in the file, from 1';
COMMENT ON COLUMN changeover.statement.sql IS 'Its text as it was run';
COMMENT ON COLUMN changeover.statement.state IS 'done is written with the change itself; intended before a change that no transaction can hold';
COMMENT ON COLUMN changeover.statement.how IS 'executed, adopted (found done) or healed (an invalid leftover of ours was rebuilt)';
COMMENT ON COLUMN changeover.statement.before IS 'Invalid indexes that stood on the table before we began, and so are not ours';
COMMENT ON COLUMN changeover.statement.cursor IS 'Last key of the last committed batch of a backfill';
COMMENT ON COLUMN changeover.statement.rows_done IS 'Rows changed by the batches so far';
COMMENT ON COLUMN changeover.statement.milliseconds IS 'How long it ran';
COMMENT ON COLUMN changeover.statement.fence IS 'Fencing number of the deployment that ran it';
COMMENT ON COLUMN changeover.statement.begun_at IS 'When it was begun';
COMMENT ON COLUMN changeover.statement.done_at IS 'When it was done';

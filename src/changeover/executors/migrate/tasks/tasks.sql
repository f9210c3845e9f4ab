CREATE TABLE changeover.task (
    release text NOT NULL,
    run text NOT NULL,
    task text NOT NULL,
    given jsonb NOT NULL,
    state text NOT NULL CHECK (state IN ('running', 'done', 'failed', 'half done', 'undoing', 'undone')),
    exit integer,
    seconds double precision,
    answer jsonb,
    colour text NOT NULL,
    deployment text NOT NULL,
    host text NOT NULL,
    fence bigint NOT NULL,
    runner text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (release, run)
);
COMMENT ON TABLE changeover.task IS 'One row for each task that a release runs on its way';
COMMENT ON COLUMN changeover.task.release IS 'Version of the release';
COMMENT ON COLUMN changeover.task.run IS 'What the release calls this run';
COMMENT ON COLUMN changeover.task.task IS 'The task that it runs';
COMMENT ON COLUMN changeover.task.given IS 'The values that it was given, by name';
COMMENT ON COLUMN changeover.task.state IS 'running and undoing are under way or were cut off';
COMMENT ON COLUMN changeover.task.exit IS 'Exit code of the latest run; null where it was ended';
COMMENT ON COLUMN changeover.task.seconds IS 'How long the latest run took';
COMMENT ON COLUMN changeover.task.answer IS 'The object that the latest run printed last';
COMMENT ON COLUMN changeover.task.colour IS 'The colour whose code it ran';
COMMENT ON COLUMN changeover.task.deployment IS 'Deployment of the latest run';
COMMENT ON COLUMN changeover.task.host IS 'Host that it ran on';
COMMENT ON COLUMN changeover.task.fence IS 'Fencing number of that deployment';
COMMENT ON COLUMN changeover.task.runner IS 'Runner that changed the row last';
COMMENT ON COLUMN changeover.task.started_at IS 'When the latest run began';
COMMENT ON COLUMN changeover.task.changed_at IS 'When its state changed last';

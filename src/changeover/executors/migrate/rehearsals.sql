CREATE TABLE changeover.undo (
    subject text PRIMARY KEY,
    digest text NOT NULL,
    lossless boolean NOT NULL,
    because text NOT NULL,
    deployment text NOT NULL,
    fence bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE changeover.undo IS 'What the last rehearsal found of each thing that can be undone';
COMMENT ON COLUMN changeover.undo.subject IS 'release/phase/NNN_name, or another name of what is undone';
COMMENT ON COLUMN changeover.undo.digest IS 'sha256 of what was rehearsed, its undoing included; another content is not proved';
COMMENT ON COLUMN changeover.undo.lossless IS 'Whether definitions and rows were as before after it was undone';
COMMENT ON COLUMN changeover.undo.because IS 'What was different, where something was';
COMMENT ON COLUMN changeover.undo.deployment IS 'The deployment that rehearsed it';
COMMENT ON COLUMN changeover.undo.fence IS 'Fencing number of that deployment';
COMMENT ON COLUMN changeover.undo.at IS 'When it was written down';

CREATE TABLE changeover.measurement (
    migration_id text NOT NULL,
    direction text NOT NULL,
    number integer NOT NULL,
    digest text NOT NULL,
    milliseconds double precision NOT NULL,
    held_milliseconds double precision NOT NULL,
    locks jsonb NOT NULL,
    rewritten text[] NOT NULL,
    deployment text NOT NULL,
    fence bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (migration_id, direction, number)
);
COMMENT ON TABLE changeover.measurement IS 'What each statement took in the last rehearsal';
COMMENT ON COLUMN changeover.measurement.migration_id IS 'release/phase/NNN_name';
COMMENT ON COLUMN changeover.measurement.direction IS 'apply, or revert';
COMMENT ON COLUMN changeover.measurement.number IS 'Its place in the file, from 1';
COMMENT ON COLUMN changeover.measurement.digest IS 'sha256 of its text; of another text nothing was measured';
COMMENT ON COLUMN changeover.measurement.milliseconds IS 'How long it ran';
COMMENT ON COLUMN changeover.measurement.held_milliseconds IS 'From its beginning to the end of its transaction';
COMMENT ON COLUMN changeover.measurement.locks IS 'Tables from before on which somebody would wait: mode, rows, bytes';
COMMENT ON COLUMN changeover.measurement.rewritten IS 'Tables that it wrote anew';
COMMENT ON COLUMN changeover.measurement.deployment IS 'The deployment that rehearsed it';
COMMENT ON COLUMN changeover.measurement.fence IS 'Fencing number of that deployment';
COMMENT ON COLUMN changeover.measurement.at IS 'When it was written down';

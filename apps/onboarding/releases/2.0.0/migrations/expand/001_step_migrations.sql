-- What became of a migration is written with it: a retry after a lost answer finds it here. One that goes
-- chunk by chunk has its row from the beginning, with how far it is.
CREATE TABLE step_migrations (
    correlation_id uuid NOT NULL,
    step_id text NOT NULL,
    from_version integer NOT NULL,
    to_version integer NOT NULL,
    users_affected bigint NOT NULL,
    progress_copied bigint NOT NULL,
    progress_reset bigint NOT NULL,
    invalid bigint NOT NULL DEFAULT 0,
    warnings text[] NOT NULL,
    asked_by text NOT NULL,
    state text NOT NULL DEFAULT 'done' CHECK (state IN ('copying', 'recalculating', 'leaving', 'done')),
    -- The last user who was reached, and how many of how many users were passed.
    reached text NOT NULL DEFAULT '',
    passed bigint NOT NULL DEFAULT 0,
    total bigint NOT NULL DEFAULT 0,
    begun_at timestamptz NOT NULL DEFAULT now(),
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (step_id, to_version)
);
-- A step is taken to one version at a time.
CREATE UNIQUE INDEX step_migrations_unfinished ON step_migrations (step_id) WHERE state <> 'done';

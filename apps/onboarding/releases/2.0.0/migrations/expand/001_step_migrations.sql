-- What became of a migration is written with it: a retry after a lost answer finds it here.
CREATE TABLE step_migrations (
    correlation_id uuid NOT NULL,
    step_id text NOT NULL,
    from_version integer NOT NULL,
    to_version integer NOT NULL,
    users_affected bigint NOT NULL,
    progress_copied bigint NOT NULL,
    progress_reset bigint NOT NULL,
    warnings text[] NOT NULL,
    asked_by text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (step_id, to_version)
);

CREATE TABLE onboarding_steps (
    step_id text NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    title text NOT NULL,
    description text NOT NULL DEFAULT '',
    required boolean NOT NULL DEFAULT true,
    weight integer NOT NULL CHECK (weight BETWEEN 0 AND 10000),
    role_visibility text[] NOT NULL DEFAULT '{}',
    market_rule jsonb NOT NULL DEFAULT '{}',
    active_from timestamptz NOT NULL DEFAULT now(),
    active_to timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (step_id, version)
);
-- A step has one version at a time.
CREATE UNIQUE INDEX onboarding_steps_active ON onboarding_steps (step_id) WHERE active_to IS NULL;

CREATE TABLE onboarding_users (
    user_id text PRIMARY KEY,
    role text NOT NULL,
    percent smallint NOT NULL DEFAULT 0 CHECK (percent BETWEEN 0 AND 100),
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- What a status may be is the app's to say: rows of older systems have others.
CREATE TABLE onboarding_progress (
    user_id text NOT NULL REFERENCES onboarding_users,
    step_id text NOT NULL,
    version integer NOT NULL,
    status text NOT NULL DEFAULT 'todo',
    completed_at timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, step_id, version),
    FOREIGN KEY (step_id, version) REFERENCES onboarding_steps
);
CREATE INDEX onboarding_progress_step ON onboarding_progress (step_id, version, status);

-- What a tenant used on one day (UTC) of one provider; a call may cost a millionth.
CREATE TABLE usage_days (
    user_id text NOT NULL REFERENCES users,
    day date NOT NULL,
    provider text NOT NULL CHECK (provider IN ('groq', 'deepgram', 'twilio')),
    calls bigint NOT NULL DEFAULT 0 CHECK (calls >= 0),
    tokens bigint NOT NULL DEFAULT 0 CHECK (tokens >= 0),
    minutes numeric(20, 6) NOT NULL DEFAULT 0 CHECK (minutes >= 0),
    cost numeric(20, 8) NOT NULL DEFAULT 0 CHECK (cost >= 0),
    PRIMARY KEY (user_id, day, provider)
);
-- A call that is reported again counts once; one that says something else is found out.
CREATE TABLE usage_records (
    user_id text NOT NULL REFERENCES users,
    record_id text NOT NULL,
    provider text NOT NULL CHECK (provider IN ('groq', 'deepgram', 'twilio')),
    tokens bigint NOT NULL,
    minutes numeric(20, 6) NOT NULL,
    cost numeric(20, 8) NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, record_id)
);
CREATE POLICY usage_days_tenant ON usage_days USING (
    current_setting('voxflow.scope', true) = 'all' OR user_id = current_setting('voxflow.user', true)
);
CREATE POLICY usage_records_tenant ON usage_records USING (
    current_setting('voxflow.scope', true) = 'all' OR user_id = current_setting('voxflow.user', true)
);
ALTER TABLE usage_days ENABLE ROW LEVEL SECURITY;
ALTER TABLE usage_records ENABLE ROW LEVEL SECURITY;

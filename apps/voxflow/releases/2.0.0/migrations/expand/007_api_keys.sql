-- Encrypted by the app, for this very row; key_id says by which of its secrets.
CREATE TABLE api_keys (
    user_id text NOT NULL REFERENCES users,
    provider text NOT NULL CHECK (provider IN ('groq', 'deepgram', 'twilio')),
    key_id text NOT NULL,
    sealed bytea NOT NULL,
    is_active boolean NOT NULL DEFAULT true,
    last_used timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, provider)
);
CREATE POLICY api_keys_tenant ON api_keys USING (
    current_setting('voxflow.scope', true) = 'all' OR user_id = current_setting('voxflow.user', true)
);
ALTER TABLE api_keys ENABLE ROW LEVEL SECURITY;

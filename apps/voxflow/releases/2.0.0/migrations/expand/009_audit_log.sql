-- Who did what to whom. It outlives accounts, so it refers to none.
CREATE TABLE audit_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    actor text NOT NULL,
    action text NOT NULL,
    subject text NOT NULL,
    details jsonb NOT NULL DEFAULT '{}',
    request_id text NOT NULL
);
CREATE INDEX audit_log_subject ON audit_log (subject, at);
-- A tenant keeps what they do themselves; it is read, and kept of others, for all tenants at once.
CREATE POLICY audit_log_all ON audit_log USING (current_setting('voxflow.scope', true) = 'all');
CREATE POLICY audit_log_tenant ON audit_log FOR INSERT
    WITH CHECK (actor = current_setting('voxflow.user', true));
ALTER TABLE audit_log ENABLE ROW LEVEL SECURITY;

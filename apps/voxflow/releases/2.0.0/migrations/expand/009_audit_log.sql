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

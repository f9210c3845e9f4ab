-- Who still asks what will be removed, by day (UTC).
CREATE TABLE deprecated_usage (
    day date NOT NULL,
    route text NOT NULL,
    user_id text NOT NULL,
    requests bigint NOT NULL,
    last_used timestamptz NOT NULL,
    PRIMARY KEY (day, route, user_id)
);

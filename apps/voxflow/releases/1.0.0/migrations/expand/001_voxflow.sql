CREATE TABLE users (
    id text PRIMARY KEY,
    email text NOT NULL,
    password text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX users_email ON users (lower(email));

-- Of nobody: whoever has an account sees and makes them.
CREATE TABLE agents (
    id text PRIMARY KEY,
    name text NOT NULL,
    description text NOT NULL DEFAULT '',
    voice text NOT NULL DEFAULT 'default',
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX agents_created_at ON agents (created_at, id);

CREATE TABLE campaigns (
    id text PRIMARY KEY,
    name text NOT NULL,
    agent_id text REFERENCES agents,
    status text NOT NULL DEFAULT 'draft',
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX campaigns_created_at ON campaigns (created_at, id);

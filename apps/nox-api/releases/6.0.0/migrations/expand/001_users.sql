-- The id is given by whoever inserts: PostgreSQL 12 has no generator of its own.
CREATE TABLE users (
  id uuid PRIMARY KEY,
  email varchar(320) NOT NULL UNIQUE,
  name varchar(255),
  password_hash text,
  old_token_field varchar(255) UNIQUE,
  created_at timestamptz NOT NULL DEFAULT now()
);

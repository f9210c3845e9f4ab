-- request_id is unique for an event of a user, so that a repeated request leaves one row.
CREATE TABLE authentication_logs (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id uuid REFERENCES users (id) ON DELETE SET NULL,
  event varchar(20) NOT NULL CHECK (event IN ('login', 'logout', 'refresh')),
  status varchar(20) NOT NULL CHECK (status IN ('success', 'failure')),
  provider varchar(50),
  reason varchar(100),
  request_id varchar(128) NOT NULL,
  ip_address varchar(45),
  user_agent varchar(255),
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (request_id, event, user_id)
);
CREATE INDEX authentication_logs_created_at ON authentication_logs (created_at);
CREATE INDEX authentication_logs_user_id ON authentication_logs (user_id, created_at);

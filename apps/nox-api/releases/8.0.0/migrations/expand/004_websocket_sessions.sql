CREATE TABLE websocket_sessions (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id uuid REFERENCES users (id) ON DELETE SET NULL,
  connection_id varchar(255) NOT NULL UNIQUE,
  connected_at timestamptz NOT NULL DEFAULT now(),
  last_heartbeat timestamptz NOT NULL DEFAULT now(),
  closed_at timestamptz,
  status varchar(20) NOT NULL DEFAULT 'connected' CHECK (status IN ('connected', 'closed', 'lost'))
);
CREATE INDEX websocket_sessions_connected ON websocket_sessions (last_heartbeat) WHERE status = 'connected';

CREATE TABLE ai_security_logs (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id uuid REFERENCES users (id) ON DELETE SET NULL,
  threat_level varchar(20) NOT NULL CHECK (threat_level IN ('low', 'medium', 'high', 'critical')),
  confidence numeric(3, 2) NOT NULL CHECK (confidence BETWEEN 0 AND 1),
  detected_threats jsonb NOT NULL DEFAULT '[]',
  request_data jsonb NOT NULL DEFAULT '{}',
  analysis_time_ms integer NOT NULL CHECK (analysis_time_ms >= 0),
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE performance_metrics (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  session_id varchar(255),
  metric_name varchar(100) NOT NULL,
  metric_value numeric(14, 4) NOT NULL,
  metric_unit varchar(20),
  metadata jsonb NOT NULL DEFAULT '{}',
  recorded_at timestamptz NOT NULL DEFAULT now()
);

SELECT count(*) = 5
FROM pg_index
WHERE indisvalid AND indexrelid IN (
  to_regclass('idx_ai_security_logs_user_id'),
  to_regclass('idx_ai_security_logs_created_at'),
  to_regclass('idx_performance_metrics_session_id'),
  to_regclass('idx_performance_metrics_recorded_at'),
  to_regclass('idx_websocket_sessions_user_id')
);

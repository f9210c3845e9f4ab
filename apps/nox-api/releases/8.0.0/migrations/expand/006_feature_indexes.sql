CREATE INDEX CONCURRENTLY idx_ai_security_logs_user_id ON ai_security_logs (user_id, created_at);
CREATE INDEX CONCURRENTLY idx_ai_security_logs_created_at ON ai_security_logs (created_at);
CREATE INDEX CONCURRENTLY idx_performance_metrics_session_id ON performance_metrics (session_id);
CREATE INDEX CONCURRENTLY idx_performance_metrics_recorded_at ON performance_metrics (recorded_at);
CREATE INDEX CONCURRENTLY idx_websocket_sessions_user_id ON websocket_sessions (user_id);

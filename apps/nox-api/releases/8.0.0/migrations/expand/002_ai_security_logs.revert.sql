DROP TABLE ai_security_logs;

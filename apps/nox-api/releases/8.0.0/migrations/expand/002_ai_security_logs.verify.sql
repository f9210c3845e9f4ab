SELECT to_regclass('ai_security_logs') IS NOT NULL;

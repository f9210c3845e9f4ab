SELECT to_regclass('audit_log') IS NOT NULL;

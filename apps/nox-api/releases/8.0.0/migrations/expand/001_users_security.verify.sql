SELECT count(*) = 5
FROM information_schema.columns
WHERE table_schema = current_schema() AND table_name = 'users'
  AND column_name IN ('biometric_enabled', 'last_security_scan', 'security_risk_score', 'last_login', 'updated_at');

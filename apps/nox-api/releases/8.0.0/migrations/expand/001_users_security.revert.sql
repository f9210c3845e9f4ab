ALTER TABLE users
  DROP COLUMN biometric_enabled,
  DROP COLUMN last_security_scan,
  DROP COLUMN security_risk_score,
  DROP COLUMN last_login,
  DROP COLUMN updated_at;

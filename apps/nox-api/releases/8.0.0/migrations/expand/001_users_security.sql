-- Constant defaults are kept in the catalog: no row is rewritten.
ALTER TABLE users
  ADD COLUMN biometric_enabled boolean NOT NULL DEFAULT false,
  ADD COLUMN last_security_scan timestamptz,
  ADD COLUMN security_risk_score numeric(3, 2) NOT NULL DEFAULT 0.0,
  ADD COLUMN last_login timestamptz,
  ADD COLUMN updated_at timestamptz;
ALTER TABLE users ALTER COLUMN updated_at SET DEFAULT now();

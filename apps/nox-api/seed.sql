-- Fill `users` with accounts as version 6 left them. Run as the owner role; safe to run again.
-- How many: SELECT set_config('nox_api.seed_users', '500', false); 10,000 when nothing is set.
-- The ids follow from the number of the account, so two databases seeded alike hold the same rows.
INSERT INTO users (id, email, name, created_at)
SELECT
  md5('nox-api user ' || number)::uuid,
  'user' || number || '@seed.test',
  'Seed User ' || number,
  timestamptz '2024-01-01 00:00:00+00' + number * interval '1 minute'
FROM generate_series(1, COALESCE(NULLIF(current_setting('nox_api.seed_users', true), ''), '10000')::integer) AS number
ON CONFLICT DO NOTHING;

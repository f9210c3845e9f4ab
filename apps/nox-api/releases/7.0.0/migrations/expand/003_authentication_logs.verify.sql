SELECT to_regclass('authentication_logs') IS NOT NULL;
SELECT count(*) = 2
FROM pg_index
WHERE indexrelid IN (to_regclass('authentication_logs_created_at'), to_regclass('authentication_logs_user_id')) AND indisvalid;

SELECT count(*) = 3
FROM information_schema.columns
WHERE table_schema = current_schema() AND table_name = 'users'
  AND column_name IN ('provider', 'provider_user_id', 'avatar_url');

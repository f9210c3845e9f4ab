SELECT count(*) = 6
FROM information_schema.columns
WHERE table_schema = current_schema() AND table_name = 'users'
  AND column_name IN ('id', 'email', 'name', 'password_hash', 'old_token_field', 'created_at');

SELECT NOT EXISTS (
  SELECT FROM information_schema.columns
  WHERE table_schema = current_schema() AND table_name = 'users' AND column_name = 'old_token_field'
);

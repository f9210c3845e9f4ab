SELECT EXISTS (
  SELECT FROM pg_index WHERE indexrelid = to_regclass('users_provider_identity') AND indisvalid AND indisunique
);

CREATE UNIQUE INDEX CONCURRENTLY users_provider_identity ON users (provider, provider_user_id);

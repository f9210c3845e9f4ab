SELECT to_regclass('refresh_token_families') IS NOT NULL AND to_regclass('refresh_tokens') IS NOT NULL;

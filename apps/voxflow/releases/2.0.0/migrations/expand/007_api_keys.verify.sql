SELECT to_regclass('api_keys') IS NOT NULL;

SELECT coalesce(bool_and(relrowsecurity), false) FROM pg_class WHERE oid IN (to_regclass('api_keys'));

SELECT coalesce(bool_and(relrowsecurity), false) AND count(*) = 2 FROM pg_class WHERE oid IN (to_regclass('usage_days'), to_regclass('usage_records'));

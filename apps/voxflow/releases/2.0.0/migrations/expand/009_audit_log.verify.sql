SELECT coalesce(bool_and(relrowsecurity), false) FROM pg_class WHERE oid IN (to_regclass('audit_log'));

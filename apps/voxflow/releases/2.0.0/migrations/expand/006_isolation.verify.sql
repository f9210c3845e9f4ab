SELECT bool_and(relrowsecurity) AND count(*) = 2 FROM pg_class
WHERE oid IN (to_regclass('agents'), to_regclass('campaigns'));

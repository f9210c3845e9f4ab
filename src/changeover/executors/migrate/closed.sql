-- Default privileges may have opened what was just made; the ledger is its owner's alone.
DO $$
DECLARE
    granted record;
BEGIN
    REVOKE ALL ON SCHEMA changeover FROM PUBLIC;
    REVOKE ALL ON ALL TABLES IN SCHEMA changeover FROM PUBLIC;
    FOR granted IN
        SELECT DISTINCT pg_get_userbyid(acl.grantee) AS name
        FROM pg_class AS class
        CROSS JOIN LATERAL aclexplode(class.relacl) AS acl
        WHERE class.relnamespace = 'changeover'::regnamespace
          AND acl.grantee NOT IN (0, class.relowner)
        UNION
        SELECT DISTINCT pg_get_userbyid(acl.grantee)
        FROM pg_namespace AS namespace
        CROSS JOIN LATERAL aclexplode(namespace.nspacl) AS acl
        WHERE namespace.nspname = 'changeover'
          AND acl.grantee NOT IN (0, namespace.nspowner)
    LOOP
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA changeover FROM %I', granted.name);
        EXECUTE format('REVOKE ALL ON SCHEMA changeover FROM %I', granted.name);
    END LOOP;
END
$$;

CREATE TABLE changeover.baseline (
    alone boolean PRIMARY KEY DEFAULT true CHECK (alone),
    release text NOT NULL,
    trusted text[] NOT NULL,
    recorded jsonb NOT NULL,
    fence bigint NOT NULL,
    runner text NOT NULL,
    adopted_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE changeover.baseline IS 'Where the ledger began, when the schema was there before it: one row';
COMMENT ON COLUMN changeover.baseline.alone IS 'Keeps the table at one row';
COMMENT ON COLUMN changeover.baseline.release IS 'Version of the release whose schema the database had';
COMMENT ON COLUMN changeover.baseline.trusted IS 'What was taken for true without proof, because a person said so';
COMMENT ON COLUMN changeover.baseline.recorded IS 'What other migration tools had recorded: tool, table, applied, failed';
COMMENT ON COLUMN changeover.baseline.fence IS 'Fencing number of the hand that adopted it';
COMMENT ON COLUMN changeover.baseline.runner IS 'Runner that adopted it';
COMMENT ON COLUMN changeover.baseline.adopted_at IS 'When it was adopted';

-- As in the ledger: default privileges may have opened what was just made.
DO $$
DECLARE
    granted record;
BEGIN
    REVOKE ALL ON changeover.baseline FROM PUBLIC;
    FOR granted IN
        SELECT DISTINCT pg_get_userbyid(acl.grantee) AS name
        FROM pg_class AS class
        CROSS JOIN LATERAL aclexplode(class.relacl) AS acl
        WHERE class.oid = 'changeover.baseline'::regclass
          AND acl.grantee NOT IN (0, class.relowner)
    LOOP
        EXECUTE format('REVOKE ALL ON changeover.baseline FROM %I', granted.name);
    END LOOP;
END
$$;

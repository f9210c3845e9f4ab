-- The app's role sees a tenant's rows, or without a tenant everybody's: so 1.0.0, which sets none, sees
-- after a way back just what was everybody's. The owner role, which migrates, sees all.
CREATE POLICY agents_tenant ON agents USING (
    current_setting('voxflow.scope', true) = 'all'
    OR CASE
        WHEN nullif(current_setting('voxflow.user', true), '') IS NULL THEN shared
        ELSE coalesce(owner_id, 'admin') = current_setting('voxflow.user', true)
    END
);
CREATE POLICY campaigns_tenant ON campaigns USING (
    current_setting('voxflow.scope', true) = 'all'
    OR CASE
        WHEN nullif(current_setting('voxflow.user', true), '') IS NULL THEN shared
        ELSE coalesce(owner_id, 'admin') = current_setting('voxflow.user', true)
    END
);
ALTER TABLE agents ENABLE ROW LEVEL SECURITY;
ALTER TABLE campaigns ENABLE ROW LEVEL SECURITY;

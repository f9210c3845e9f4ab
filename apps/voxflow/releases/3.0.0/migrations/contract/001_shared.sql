-- Nothing is everybody's any more: a session without a tenant sees nothing.
ALTER POLICY agents_tenant ON agents USING (
    current_setting('voxflow.scope', true) = 'all' OR owner_id = current_setting('voxflow.user', true)
);
ALTER POLICY campaigns_tenant ON campaigns USING (
    current_setting('voxflow.scope', true) = 'all' OR owner_id = current_setting('voxflow.user', true)
);

SELECT count(*) = 5 AND bool_and(indisvalid) FROM pg_index
WHERE indexrelid IN (
    to_regclass('agents_owner_id'), to_regclass('campaigns_owner_id'), to_regclass('agents_made_by'),
    to_regclass('campaigns_made_by'), to_regclass('campaigns_agent_id')
);

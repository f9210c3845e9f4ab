CREATE INDEX CONCURRENTLY agents_owner_id ON agents (owner_id, created_at, id);
CREATE INDEX CONCURRENTLY campaigns_owner_id ON campaigns (owner_id, created_at, id);
CREATE INDEX CONCURRENTLY agents_made_by ON agents (made_by) WHERE made_by IS NOT NULL;
CREATE INDEX CONCURRENTLY campaigns_made_by ON campaigns (made_by) WHERE made_by IS NOT NULL;
CREATE INDEX CONCURRENTLY campaigns_agent_id ON campaigns (agent_id) WHERE agent_id IS NOT NULL;

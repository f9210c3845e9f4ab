CREATE INDEX CONCURRENTLY agents_owner_id ON agents (owner_id, created_at, id);
CREATE INDEX CONCURRENTLY campaigns_owner_id ON campaigns (owner_id, created_at, id);

DROP INDEX CONCURRENTLY agents_owner_id;
DROP INDEX CONCURRENTLY campaigns_owner_id;
DROP INDEX CONCURRENTLY agents_made_by;
DROP INDEX CONCURRENTLY campaigns_made_by;
DROP INDEX CONCURRENTLY campaigns_agent_id;

DROP INDEX CONCURRENTLY agents_owner_id;
DROP INDEX CONCURRENTLY campaigns_owner_id;

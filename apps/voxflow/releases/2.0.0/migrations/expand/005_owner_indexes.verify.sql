SELECT count(*) = 2 FROM pg_index
WHERE indexrelid IN (to_regclass('agents_owner_id'), to_regclass('campaigns_owner_id')) AND indisvalid;

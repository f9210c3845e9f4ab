SELECT count(*) = 2 FROM pg_constraint WHERE conname IN ('agents_owner', 'campaigns_owner');

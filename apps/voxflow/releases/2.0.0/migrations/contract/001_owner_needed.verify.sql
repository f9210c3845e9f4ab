SELECT count(*) = 2 FROM pg_constraint WHERE conname IN ('agents_owned', 'campaigns_owned');

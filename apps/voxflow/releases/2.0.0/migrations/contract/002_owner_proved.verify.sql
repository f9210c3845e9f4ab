SELECT bool_and(convalidated) AND count(*) = 4 FROM pg_constraint
WHERE conname IN ('agents_owner', 'campaigns_owner', 'agents_owned', 'campaigns_owned');

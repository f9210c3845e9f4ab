SELECT count(*) = 2 AND bool_and(qual NOT LIKE '%shared%') FROM pg_policies
WHERE policyname IN ('agents_tenant', 'campaigns_tenant');

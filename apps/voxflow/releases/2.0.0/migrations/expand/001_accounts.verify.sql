SELECT count(*) = 7 FROM information_schema.columns
WHERE table_schema = current_schema() AND table_name = 'users'
  AND column_name IN ('role', 'organization_name', 'subscription_tier', 'max_agents',
                      'monthly_token_quota', 'is_active', 'contract');

ALTER TABLE users
    DROP COLUMN role,
    DROP COLUMN organization_name,
    DROP COLUMN subscription_tier,
    DROP COLUMN max_agents,
    DROP COLUMN monthly_token_quota,
    DROP COLUMN is_active,
    DROP COLUMN contract;

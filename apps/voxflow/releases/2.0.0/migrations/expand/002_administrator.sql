-- Whom everything belongs to that belonged to nobody. No password fits until the environment gives one.
INSERT INTO users (id, email, password, role, subscription_tier, max_agents, monthly_token_quota, contract)
VALUES ('admin', 'admin@voxflow.invalid', '!', 'admin', 'enterprise', 1000000, 1000000000, 'tenant');

-- Constants alone: no row is written anew, and 1.0.0 goes on making accounts that are right.
ALTER TABLE users
    ADD COLUMN role text NOT NULL DEFAULT 'user' CHECK (role IN ('user', 'enterprise', 'admin')),
    ADD COLUMN organization_name text NOT NULL DEFAULT '',
    ADD COLUMN subscription_tier text NOT NULL DEFAULT 'free'
        CHECK (subscription_tier IN ('free', 'pro', 'enterprise')),
    ADD COLUMN max_agents integer NOT NULL DEFAULT 3 CHECK (max_agents >= 0),
    ADD COLUMN monthly_token_quota bigint NOT NULL DEFAULT 10000 CHECK (monthly_token_quota >= 0),
    ADD COLUMN is_active boolean NOT NULL DEFAULT true,
    -- What 1.0.0 makes speaks as legacy clients do until it moves.
    ADD COLUMN contract text NOT NULL DEFAULT 'legacy' CHECK (contract IN ('legacy', 'tenant'));

ALTER TABLE agents
    ADD COLUMN owner_id text,
    -- Everybody's: legacy clients see these alone.
    ADD COLUMN shared boolean NOT NULL DEFAULT true,
    -- Which legacy client made it: these go with it when its account moves.
    ADD COLUMN made_by text;
ALTER TABLE agents ALTER COLUMN owner_id
    SET DEFAULT coalesce(nullif(current_setting('voxflow.user', true), ''), 'admin');
ALTER TABLE agents ALTER COLUMN shared
    SET DEFAULT nullif(current_setting('voxflow.user', true), '') IS NULL;
ALTER TABLE agents ALTER COLUMN made_by
    SET DEFAULT nullif(current_setting('voxflow.maker', true), '');
ALTER TABLE campaigns
    ADD COLUMN owner_id text,
    ADD COLUMN shared boolean NOT NULL DEFAULT true,
    ADD COLUMN made_by text;
ALTER TABLE campaigns ALTER COLUMN owner_id
    SET DEFAULT coalesce(nullif(current_setting('voxflow.user', true), ''), 'admin');
ALTER TABLE campaigns ALTER COLUMN shared
    SET DEFAULT nullif(current_setting('voxflow.user', true), '') IS NULL;
ALTER TABLE campaigns ALTER COLUMN made_by
    SET DEFAULT nullif(current_setting('voxflow.maker', true), '');

-- While a step goes to a new version chunk by chunk, what users write on the version before is carried
-- to the new one by their own transaction, whichever release writes it. Who writes shares the lock of
-- the step's row, and a migration begins and switches under that lock alone, so none is missed.

-- By how much the counts of a migration differ for what was carried: added up when it switches.
CREATE TABLE step_migration_changes (
    step_id text NOT NULL,
    to_version integer NOT NULL,
    users bigint NOT NULL,
    copied bigint NOT NULL,
    invalid bigint NOT NULL
);

CREATE FUNCTION carry_progress() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    target integer;
    before text := coalesce(OLD.status, NEW.status);
    is_done integer := (NEW.status = 'done')::integer;
    is_invalid integer := (NEW.status NOT IN ('done', 'todo', 'skipped'))::integer;
BEGIN
    SELECT to_version INTO target FROM step_migrations
    WHERE step_id = NEW.step_id AND from_version = NEW.version AND state = 'copying';
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    INSERT INTO onboarding_progress (user_id, step_id, version, status, completed_at)
    VALUES (NEW.user_id, NEW.step_id, target, CASE NEW.status WHEN 'done' THEN 'done' ELSE 'todo' END,
            CASE NEW.status WHEN 'done' THEN NEW.completed_at END)
    ON CONFLICT (user_id, step_id, version) DO NOTHING;
    IF FOUND THEN
        INSERT INTO step_migration_changes VALUES (NEW.step_id, target, 1, is_done, is_invalid);
        RETURN NULL;
    END IF;
    -- It was there, so it was counted as what this user had before.
    UPDATE onboarding_progress
    SET status = CASE NEW.status WHEN 'done' THEN 'done' ELSE 'todo' END,
        completed_at = CASE NEW.status WHEN 'done' THEN NEW.completed_at END,
        updated_at = now()
    WHERE user_id = NEW.user_id AND step_id = NEW.step_id AND version = target;
    INSERT INTO step_migration_changes
    VALUES (NEW.step_id, target, 0, is_done - (before = 'done')::integer,
            is_invalid - (before NOT IN ('done', 'todo', 'skipped'))::integer);
    RETURN NULL;
END$$;

-- A migration that copies is not asked row by row.
CREATE TRIGGER carry_progress AFTER INSERT OR UPDATE ON onboarding_progress
FOR EACH ROW WHEN (current_setting('onboarding.copies', true) IS DISTINCT FROM 'on')
EXECUTE FUNCTION carry_progress();

SELECT to_regclass('step_migration_changes') IS NOT NULL
    AND EXISTS (SELECT FROM pg_trigger WHERE tgname = 'carry_progress' AND tgenabled = 'O');

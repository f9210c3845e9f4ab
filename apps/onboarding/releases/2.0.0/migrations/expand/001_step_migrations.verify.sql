SELECT to_regclass('step_migrations') IS NOT NULL;

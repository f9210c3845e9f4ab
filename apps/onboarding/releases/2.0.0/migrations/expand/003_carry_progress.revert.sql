DROP TRIGGER carry_progress ON onboarding_progress;
DROP FUNCTION carry_progress();
DROP TABLE step_migration_changes;

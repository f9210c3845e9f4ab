DROP TABLE step_migrations;

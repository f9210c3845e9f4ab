ALTER TABLE posts DROP COLUMN topic;
DROP TABLE topics;
DELETE FROM _prisma_migrations WHERE migration_name = '002_topics';

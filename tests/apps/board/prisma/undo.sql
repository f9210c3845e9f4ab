DROP TABLE posts;
DELETE FROM _prisma_migrations WHERE migration_name = '001_posts';

SELECT to_regclass('outbox') IS NOT NULL;

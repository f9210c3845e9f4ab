SELECT to_regclass('usage_days') IS NOT NULL AND to_regclass('usage_records') IS NOT NULL;

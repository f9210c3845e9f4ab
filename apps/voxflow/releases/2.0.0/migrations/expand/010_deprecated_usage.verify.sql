SELECT to_regclass('deprecated_usage') IS NOT NULL;

SELECT to_regclass('performance_metrics') IS NOT NULL;

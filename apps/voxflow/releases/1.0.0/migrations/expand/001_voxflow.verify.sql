SELECT to_regclass('users') IS NOT NULL
    AND to_regclass('agents') IS NOT NULL
    AND to_regclass('campaigns') IS NOT NULL;

SELECT to_regclass('onboarding_steps') IS NOT NULL
    AND to_regclass('onboarding_users') IS NOT NULL
    AND to_regclass('onboarding_progress') IS NOT NULL;

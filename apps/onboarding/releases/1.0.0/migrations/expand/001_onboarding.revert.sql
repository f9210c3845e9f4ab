DROP TABLE onboarding_progress;
DROP TABLE onboarding_users;
DROP TABLE onboarding_steps;

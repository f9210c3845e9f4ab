ALTER TABLE users
  DROP COLUMN provider,
  DROP COLUMN provider_user_id,
  DROP COLUMN avatar_url;

ALTER TABLE users
  ADD COLUMN provider varchar(50),
  ADD COLUMN provider_user_id varchar(255),
  ADD COLUMN avatar_url text;

ALTER TABLE users DROP COLUMN old_token_field;

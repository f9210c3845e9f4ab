-- 1.0.0 makes accounts, signs people in, and gives them another password.
INSERT INTO users (id, email, password) VALUES ('coexist', 'coexist@voxflow.invalid', '!') ON CONFLICT DO NOTHING;
SELECT id, email, password FROM users WHERE lower(email) = lower('Coexist@voxflow.invalid');
UPDATE users SET password = '!!' WHERE id = 'coexist';

DELETE FROM users WHERE id = 'admin';

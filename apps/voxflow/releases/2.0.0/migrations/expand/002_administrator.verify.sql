SELECT role = 'admin' FROM users WHERE id = 'admin';

-- changeover: batch table=users key=id size=5000
UPDATE users SET provider = 'legacy' WHERE provider IS NULL AND id BETWEEN $1 AND $2;

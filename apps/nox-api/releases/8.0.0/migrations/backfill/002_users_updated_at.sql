-- changeover: batch table=users key=id size=5000
UPDATE users SET updated_at = created_at WHERE updated_at IS NULL AND id BETWEEN $1 AND $2;

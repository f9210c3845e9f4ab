-- changeover: batch table=agents key=id size=5000
UPDATE agents SET owner_id = 'admin' WHERE owner_id IS NULL AND id BETWEEN $1 AND $2;

-- changeover: batch table=campaigns key=id size=5000
UPDATE campaigns SET owner_id = 'admin' WHERE owner_id IS NULL AND id BETWEEN $1 AND $2;

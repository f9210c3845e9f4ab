-- 1.0.0 sets no tenant: it sees all that was there, and what it makes, which is everybody's.
SELECT id, name, description, voice, created_at FROM agents ORDER BY created_at, id LIMIT 1000;
SELECT id, name, agent_id, status, created_at FROM campaigns ORDER BY created_at, id LIMIT 1000;
INSERT INTO agents (id, name, description, voice) VALUES ('coexist', 'Ada', '', 'default')
RETURNING id, name, description, voice, created_at;
INSERT INTO campaigns (id, name, agent_id) VALUES ('coexist', 'Spring', 'coexist')
RETURNING id, name, agent_id, status, created_at;
SELECT id, name, description, voice FROM agents WHERE id = 'coexist';
SELECT id, name, agent_id, status FROM campaigns WHERE id = 'coexist';
SELECT (SELECT count(*) FROM agents), (SELECT count(*) FROM campaigns);

-- 1.0.0 names no owner: what it makes is the administrator's, whom the key has to find.
INSERT INTO agents (id, name, description, voice) VALUES ('coexist', 'Ada', '', 'default')
RETURNING id, name, description, voice, created_at;
INSERT INTO campaigns (id, name, agent_id) VALUES ('coexist', 'Spring', 'coexist'), ('coexist-alone', 'Autumn', NULL)
RETURNING id, name, agent_id, status, created_at;

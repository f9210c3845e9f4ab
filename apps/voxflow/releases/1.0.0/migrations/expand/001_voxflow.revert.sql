DROP TABLE campaigns;
DROP TABLE agents;
DROP TABLE users;

DROP TABLE authentication_logs;

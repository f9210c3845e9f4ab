CREATE TABLE topics (id integer PRIMARY KEY, name text NOT NULL);
ALTER TABLE posts ADD COLUMN topic integer REFERENCES topics;

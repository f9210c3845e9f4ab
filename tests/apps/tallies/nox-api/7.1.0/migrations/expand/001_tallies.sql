CREATE TABLE tallies (name text PRIMARY KEY, begun integer NOT NULL, ended integer NOT NULL DEFAULT 0);
CREATE TABLE tally_gate (open boolean NOT NULL);

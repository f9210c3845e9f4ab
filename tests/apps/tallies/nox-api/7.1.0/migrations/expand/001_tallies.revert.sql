DROP TABLE tally_gate;
DROP TABLE tallies;

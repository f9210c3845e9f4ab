"""What the tasks of releases did, in the ledger: one row a run, so that what was done is not done again."""

"""Walk a table in batches: find the keys, size the batches, give way to others, tell how far it is."""

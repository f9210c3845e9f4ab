"""A PostgreSQL server and what its databases hold, by the server's own tools."""

"""Hold a migration to what it declares of the data."""

"""Tasks of an app: work of its own that an operator runs."""

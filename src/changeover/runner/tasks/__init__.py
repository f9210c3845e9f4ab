"""Tasks of an app: work of its own that an operator runs, or a release on its way."""

"""What administrators do: take a step to a new version, and see the versions that it had."""

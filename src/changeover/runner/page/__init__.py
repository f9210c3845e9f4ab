"""The page of maintenance, of a deployment or by hand."""

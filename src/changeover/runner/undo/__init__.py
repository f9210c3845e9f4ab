"""SQL migrations undone: what stands in an older version's way, and how it is taken away."""

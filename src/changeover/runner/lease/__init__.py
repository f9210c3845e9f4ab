"""Who holds a lease, whether its holder lives, and how another takes over."""

"""VoxFlow for tenants: everybody has what is theirs, with a role, a tier and limits."""

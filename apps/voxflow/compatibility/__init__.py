"""VoxFlow for tenants while legacy clients still ask: what 1.0.0 promised goes on for them."""

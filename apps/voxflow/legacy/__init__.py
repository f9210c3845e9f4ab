"""VoxFlow before there were tenants: agents and campaigns belong to everybody."""

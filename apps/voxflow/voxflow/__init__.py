"""What every version of VoxFlow stands on: its settings, database, tokens and sockets."""

"""The load client, a program of its own (``python -m changeover.load``), and what judges its record."""

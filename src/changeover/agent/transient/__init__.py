"""A program of a placed bundle, run once in a unit of its own: begun, followed, and what it printed."""

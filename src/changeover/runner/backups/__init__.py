"""Backups, moments and points: made by hand and named by runs, and what is told of them."""

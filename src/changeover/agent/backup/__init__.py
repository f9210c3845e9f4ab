"""Backups of a database: made, proved, held against the live one, and gone back to."""

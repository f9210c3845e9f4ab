"""Rehearsals: what pending migrations do on a clone, measured, judged and told."""

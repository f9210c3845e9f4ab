"""Rollback: users go back to a version that was proved before."""

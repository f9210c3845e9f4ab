"""The app's own migrator: run once, rehearsed, undone where that was proved."""

"""The app's own migrator on a host: begun, followed, and what it printed."""

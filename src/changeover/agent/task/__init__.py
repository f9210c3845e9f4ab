"""Work of the app itself on a host: begun with checked values, followed, and what it printed."""

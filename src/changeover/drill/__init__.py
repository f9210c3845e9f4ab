"""Inject faults into an environment that is there for it, and judge what users saw of them."""

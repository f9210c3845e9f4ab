"""Move an application from one version to the next on real hosts, prove it, and take it back."""

__version__ = "0.1.0"

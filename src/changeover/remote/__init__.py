"""Speak to one host and to all hosts of an app: connections, the requests on them, and how they fail."""

"""The host agent: a program of the standard library alone that acts on one host as root."""

"""Make real Debian hosts on this machine; know nothing of releases, and nothing but the CLI knows it."""

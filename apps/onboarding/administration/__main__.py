"""Serve users and administrators."""

from __future__ import annotations

from onboarding.serving import main

from . import routes

if __name__ == "__main__":
    main(routes.add)

"""What operators see of migrations: a line of the log an event, and four figures for Prometheus."""

from __future__ import annotations

import json
import sys

from prometheus_client import Counter, Histogram

SECONDS = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300)
USERS = (1, 10, 100, 1_000, 10_000, 100_000, 1_000_000)

REQUESTS = Counter("migration_requests", "Total migration requests", ["outcome"])
DURATION = Histogram(
    "migration_duration_seconds", "Migration duration", ["dry_run"], buckets=SECONDS
)
AFFECTED = Histogram("migration_users_affected", "Users affected per migration", buckets=USERS)
ERRORS = Counter("migration_errors", "Migration errors by type", ["type"])


def log(event: str, **facts: object) -> None:
    """Write one line; a fact that is text cannot break it."""
    sys.stdout.write(f"[Step Migration] {event} {json.dumps(facts, default=str)}\n")
    sys.stdout.flush()

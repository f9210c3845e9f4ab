"""What operators see of migrations and events: a line of the log each, and figures for Prometheus."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

SECONDS = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300)
USERS = (1, 10, 100, 1_000, 10_000, 100_000, 1_000_000)
TIMES = (0, 1, 2, 3, 5, 10)

REQUESTS = Counter("migration_requests", "Total migration requests", ["outcome"])
DURATION = Histogram(
    "migration_duration_seconds", "Migration duration", ["dry_run"], buckets=SECONDS
)
AFFECTED = Histogram("migration_users_affected", "Users affected per migration", buckets=USERS)
ERRORS = Counter("migration_errors", "Migration errors by type", ["type"])
RETRIES = Histogram("migration_retries", "Retries of a migration", buckets=TIMES)
SENT = Counter("outbox_sent", "Events that a receiver has taken")
UNSENT = Counter("outbox_failures", "Attempts to send that failed, by whose fault it was", ["of"])
COUNT = Gauge("outbox_waiting", "Events that wait to be sent")
AGE = Gauge("outbox_oldest_seconds", "How long the oldest event that waits has waited")


def waits(count: int, oldest: dt.datetime | None) -> None:
    """Tell how many events wait, and since when the oldest one does, which goes on by itself."""
    COUNT.set(count)
    AGE.set_function(lambda: max(0.0, time.time() - oldest.timestamp()) if oldest else 0.0)


def log(event: str, **facts: object) -> None:
    """Tell of a migration."""
    _write("Step Migration", event, facts)


def log_outbox(event: str, **facts: object) -> None:
    """Tell of events that are sent."""
    _write("Outbox", event, facts)


def _write(about: str, event: str, facts: Mapping[str, object]) -> None:
    """Write one line; a fact that is text cannot break it."""
    sys.stdout.write(f"[{about}] {event} {json.dumps(facts, default=str)}\n")
    sys.stdout.flush()

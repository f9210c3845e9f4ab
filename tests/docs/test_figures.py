"""Figures that the pages name are those that the code goes by."""

from __future__ import annotations

import pytest
from tests.docs.test_docs import DOCS

from changeover.agent import turn
from changeover.agent.colour import processes
from changeover.agent.system import filelock
from changeover.agent.traffic import move
from changeover.executors.migrate import turn as migrating
from changeover.executors.preflight import certificates, requirements
from changeover.plan import order
from changeover.runner.deployment import safety
from changeover.runner.lease import holder


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("colours-and-the-switch.md", f"{order.CLOSING_SECONDS:g} s at most in a deployment"),
        ("colours-and-the-switch.md", f"for {order.ROLLBACK_CLOSING_SECONDS:g} s in a rollback"),
        ("colours-and-the-switch.md", f"{order.DEADMAN_SECONDS} s later it renames back"),
        ("verbs/deploy.md", f"renames back after {order.DEADMAN_SECONDS} s"),
        ("verbs/lock.md", f"ends by itself {order.LEASE_SECONDS} s after"),
        ("verbs/resume.md", f"heard less than {holder.ALIVE_SECONDS} s ago"),
        ("verbs/abort.md", f"heard less than {holder.ALIVE_SECONDS} s ago"),
        ("verbs/preflight.md", f"{requirements.SKEW_RED_SECONDS:g} s away or more"),
        ("verbs/preflight.md", f"{requirements.SKEW_WARN_SECONDS:g} s away or more"),
        ("verbs/preflight.md", f"fewer than {certificates.DAYS_WARN} days left"),
        ("migrations.md", f"at most {migrating.LOCK_TIMEOUT_MILLISECONDS} ms for its lock"),
    ],
)
def test_a_figure_in_a_page_is_the_codes(page: str, words: str) -> None:
    assert words in " ".join((DOCS / page).read_text().split())


def test_times_that_pages_spell_out() -> None:
    assert safety.DEADLINE_SECONDS == 3600, "an hour in a deployment: migrations.md"
    assert migrating.DEADLINE_SECONDS == 600, "ten minutes in `db migrate`: migrations.md"
    assert turn.WAIT_SECONDS == 600, "gives up after ten minutes: the-host-agent.md"
    assert turn.BACKUP_SECONDS == 3600, "for an hour at most: the-host-agent.md"
    assert filelock.SAY_SECONDS == 5, "says every five seconds: the-host-agent.md"
    assert processes.GIVING_UP_SECONDS == 10, "ten more seconds: the-host-agent.md"
    assert move.CLOSING_SECONDS == order.CLOSING_SECONDS

"""Every action that changes something asks whose lease it is, before anything else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.agent.conftest import NONCE

from changeover.agent import dispatch
from changeover.agent.backup import actions as of_backups
from changeover.agent.migrator import actions as of_migrators
from changeover.agent.system import clock
from changeover.agent.system.clock import Moment

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.agent.conftest import Machine

OTHER = "nonce-of-another"
# What may be asked without a lease. A name belongs here only if its action changes nothing that users,
# a database or the next deployment could notice.
UNFENCED = {
    *("state", "health", "collect", "drift", "logs", "journal"),
    *("backup_archive", "backup_repository", "backup_list", "backup_fetch", "backup_price"),
    *("backup_estimate", "backup_diff", "backup_due", "backup_schema"),
    *("migrator_left", "migrator_output"),
}
TAKING = {"lock", "steal"}
ALL = {
    *dispatch.READING,
    *dispatch.LEASING,
    *dispatch.ACTING,
    *of_backups.ACTIONS,
    *of_migrators.ACTIONS,
}
FENCED = sorted(ALL - UNFENCED - TAKING)
PARAMETERS: dict[str, dict[str, Any]] = {"renew": {"ttl_seconds": 60}}


def given(machine: Machine, name: str, fence: dict[str, Any]) -> str:
    """Return what a request for the action ends in, whose proof is this."""
    action = {"action": name, **PARAMETERS.get(name, {})}
    last = machine.request(action, fence=fence)[-1]
    return str(last.get("error", last["type"]))


def take(machine: Machine, name: str) -> int:
    action = {"action": name, "owner": "x", "reason": "y", "ttl_seconds": 60, "nonce": OTHER}
    number: int = machine.request(action, fence={})[-1]["result"]["number"]
    return number


def content(root: Path) -> dict[str, bytes]:
    """Return what is on the host, but for the locks that are looked at."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


def stale(machine: Machine, monkeypatch: pytest.MonkeyPatch, how: str) -> dict[str, Any]:
    """Return a proof that is good no more, or never was."""
    mine = {"number": machine.number, "nonce": NONCE}
    if how == "stolen":
        take(machine, "steal")
    elif how == "expired and taken":
        moment = clock.now()
        late = Moment(moment.wall, moment.boot, moment.uptime + 601)
        monkeypatch.setattr(clock, "now", lambda: late)
        take(machine, "lock")
    elif how == "given back":
        machine.do("unlock")
        take(machine, "lock")
    elif how == "the newest number, another's nonce":
        return {"number": take(machine, "steal"), "nonce": NONCE}
    elif how == "a number from the future":
        return {"number": machine.number + 1, "nonce": NONCE}
    elif how == "no proof":
        return {}
    return mine


@pytest.mark.parametrize(
    "how",
    [
        "stolen",
        "expired and taken",
        "given back",
        "the newest number, another's nonce",
        "a number from the future",
        "no proof",
    ],
)
def test_a_stale_controller_is_refused_one_action_after_the_other(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    proof = stale(machine, monkeypatch, how)
    before = content(machine.root)

    refused = {name: given(machine, name, proof) for name in FENCED}

    # whoever gives back a lease is told that it is not his; who renews one, too
    assert refused == dict.fromkeys(FENCED, "fenced")
    after = content(machine.root)
    journal = "var/lib/changeover/sample/journal.jsonl"
    assert {**after, journal: b""} == {**before, journal: b""}
    added = after[journal].removeprefix(before[journal]).decode()
    assert '"done"' not in added


def test_only_what_changes_nothing_may_be_asked_without_a_lease(machine: Machine) -> None:
    passed = {name for name in ALL - TAKING if given(machine, name, {}) != "fenced"}

    assert passed == UNFENCED

"""Who holds a lease, by what the hosts say of it: what it is for, and whether its holder lives."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import TYPE_CHECKING, Any

from changeover.colour import version_of
from changeover.errors import LockHeld
from changeover.executors import lease
from changeover.runner.fleet import survey
from changeover.runner.lease import presence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from changeover.inventory import Host
    from changeover.runner.fleet.host_state import HostState
    from changeover.runner.run import Run

Event = dict[str, Any]
# A live controller renews its lease every 40 s; one that was silent for longer has gone.
ALIVE_SECONDS = 45
# Between what a host says and what is made of it.
ANSWER_SECONDS = 3
# What a catch-up takes its lease for, before the hosts that it is about.
CATCH_UP = "catch-up"
# What a rollback takes its lease for: the colours that it leaves and goes to.
ROLLBACK = ("rollback", "COLOUR", "->", "COLOUR")


def refuse_alive(
    states: Iterable[HostState], journals: Path, *, hint: Callable[[Event], str]
) -> None:
    """Refuse while the controller that holds a lease was heard of lately, and may live.

    Args:
        states: What the hosts said.
        journals: Where this controller keeps the environment's journals.
        hint: Returns what to type where that controller is gone for certain, by its lease.

    Raises:
        LockHeld: It is at it, as far as anybody knows.
    """
    for state in states:
        if state.lock and _alive(state.lock, journals):
            lock = state.lock
            raise LockHeld(
                f"{lock['owner']} held the lease {_silent(lock):.0f} s ago: {lock['reason']}",
                hint=f"wait {ALIVE_SECONDS} s, or {hint(lock)}",
                host=state.host,
            )


def refuse_held(
    states: Iterable[HostState], environment: str, journals: Path | None = None
) -> None:
    """Refuse while a deployment is under way.

    Args:
        states: What the hosts said.
        environment: The environment's name.
        journals: Where this controller keeps its journals: a lease that a run left which they say is
            over is nobody's.

    Raises:
        LockHeld: Somebody holds the lease of a host.
    """
    for state in states:
        left = journals is not None and _over(state.lock or {}, journals)
        if state.lock and not state.lock.get("expired") and not left:
            raise LockHeld(
                f"{state.lock.get('owner')} holds the lock: {state.lock.get('reason')}",
                hint=waiting(state.lock, environment),
                host=state.host,
                cause=f"since {state.lock.get('since')}, expires {state.lock.get('expires')}",
            )


def waiting(lock: Event, environment: str) -> str:
    """Return what to type where a lease is held, which may be that of a process that is gone."""
    look = f"wait, or look: changeover lock status --env {environment}"
    return f"{look}; where its process is gone, {_going_on(lock, environment)}"


def told(states: Iterable[HostState], environment: str) -> Iterator[Event]:
    """Give who holds leases, once each: when they were heard, and what goes on where they are gone."""
    holders = {(lock.get("deployment"), str(lock.get("reason"))): lock for lock in _held(states)}
    for lock in holders.values():
        heard = f", heard {_silent(lock):.0f} s ago" if "heartbeat" in lock else ""
        says = (
            f"{lock.get('owner')} holds the lock: {lock.get('reason')}{heard};"
            f" where its process is gone, {_going_on(lock, environment)}"
        )
        yield {"type": "lease", "deployment": lock.get("deployment"), "says": says}


def _going_on(lock: Event, environment: str) -> str:
    kind = str(lock.get("reason")).partition(" ")[0]
    return {
        "deploy": f"changeover resume --env {environment} goes on,"
        f" changeover abort --env {environment} takes it back",
        "abort": f"changeover abort --env {environment} goes on",
        "rollback": f"changeover rollback --env {environment} goes on",
    }.get(kind, "the same command takes it over on the machine that it ran on")


def wrest(lock: Event, environment: str, states: Iterable[HostState] = ()) -> str:
    """Return what takes the work of a lease over, where its controller is gone for certain.

    Args:
        lock: The lease.
        environment: The environment's name.
        states: What the hosts said: a colour that one of them lacks can be named by its version alone.
    """
    if deployed(lock):
        return f"changeover abort --force --env {environment}"
    steal = f'changeover lock steal --reason "it is gone" --env {environment}'
    went = went_back(lock)
    if went is None:
        return steal
    lacking = any("app" in state.groups and went[1] not in state.placed for state in states)
    goal = version_of(went[1]) if lacking else went[1]
    return f"{steal}, then changeover rollback --to {goal} --env {environment}"


def left_alone(states: Iterable[HostState], journals: Path) -> bool:
    """Tell whether leases are held, and all of them to move users or catch hosts up, by controllers gone or silent."""
    locks = _held(states)
    return bool(locks) and all(_yields(lock) and not _alive(lock, journals) for lock in locks)


def left_here(locks: Sequence[Event], journals: Path) -> bool:
    """Tell whether leases are held, all of them by runs of this machine that are gone and owe nothing.

    One that moves users owes its end: it was done, or took users back.
    """
    return bool(locks) and all(_over(lock, journals) or _gone(lock, journals) for lock in locks)


def take(run: Run, hosts: Sequence[Host], reason: str, seconds: int, *, steal: bool) -> None:
    """Take the lease, also from a run of this machine that is gone and that left no users on their way.

    Raises:
        LockHeld: Somebody holds it who may live.
    """
    try:
        lease.lock(run.fleet, hosts, reason, seconds, steal=steal)
    except LockHeld as error:
        locks = _held(survey.host_states(run.fleet, hosts).values())
        if not left_here(locks, run.journal.path.parent):
            for lock in sorted(locks, key=_moves):
                error.hint = waiting(lock, run.environment.name)
            raise
        left = str(locks[0]["reason"])
        says = (
            f"the lease of {left} is taken over: that was a process of this machine, and it is gone"
        )
        run.note({"type": "note", "says": says, "cause": error.message})
        lease.lock(run.fleet, hosts, reason, seconds, steal=True)


def _held(states: Iterable[HostState]) -> list[Event]:
    return [state.lock for state in states if state.lock and not state.lock.get("expired")]


def deployed(lock: Event | None) -> str | None:
    """Return the version of the deployment that a lease was taken for, or to take it back."""
    kind, _, rest = str((lock or {}).get("reason")).partition(" ")
    return rest.partition(" ")[0] if kind in {"deploy", "abort"} else None


def interrupted(lock: Event) -> str | None:
    """Return the id of the deployment that a lease was taken for, or to take it back, where it says so."""
    kind, _, rest = str(lock.get("reason")).partition(" ")
    of = rest.partition(" of ")[2] if kind == "abort" else lock.get("deployment")
    return str(of) if of else None


def backs_up(lock: Event) -> bool:
    """Tell whether a lease was taken for work that makes a backup for itself alone."""
    return str(lock.get("reason")).partition(" ")[0] in {"deploy", "abort", "finalize", "db"}


def canary_option(lock: Event) -> str | None:
    """Return what the command of a deployment said of canaries, by the lease that was taken for it."""
    return next(_said_by(lock, "--canary"), None)


def waived(lock: Event) -> tuple[str, ...]:
    """Return the preconditions that the command of a deployment waived, by the lease that was taken for it."""
    return tuple(_said_by(lock, "--waive"))


def _said_by(lock: Event, option: str) -> Iterator[str]:
    words = str(lock.get("reason")).split(" ")
    return (value for name, value in itertools.pairwise(words) if name == option)


def went_back(lock: Event | None) -> tuple[str, str] | None:
    """Return the colours that the rollback left and went to that a lease was taken for."""
    words = str((lock or {}).get("reason")).split(" ")
    if len(words) == len(ROLLBACK) and (words[0], words[2]) == (ROLLBACK[0], ROLLBACK[2]):
        return words[1], words[3]
    return None


def _moves(lock: Event) -> bool:
    kind = str(lock.get("reason")).partition(" ")[0]
    return "heartbeat" in lock and kind in {"deploy", "abort", "rollback"}


def _yields(lock: Event) -> bool:
    """Tell whether a way back may take a lease that nobody renews: what it was for goes on later."""
    return _moves(lock) or ("heartbeat" in lock and str(lock.get("reason")).startswith(CATCH_UP))


def _gone(lock: Event, journals: Path) -> bool:
    gone = presence.ended(journals, lock.get("deployment")) or _over(lock, journals, owing=True)
    return gone and not _moves(lock)


def _over(lock: Event, journals: Path, *, owing: bool = False) -> bool:
    """Tell whether a lease is of a run of this controller that is over, and was not renewed since.

    Whoever goes on with a run elsewhere takes its lease anew.

    Args:
        lock: The lease.
        journals: Where this controller keeps the environment's journals.
        owing: Whether it is over also where somebody may have to go on with it.
    """
    ended = presence.over_for(journals, lock.get("deployment"), owing=owing)
    return ended is not None and "silent" in lock and _silent(lock) >= ended - ANSWER_SECONDS


def _alive(lock: Event, journals: Path) -> bool:
    beats = "heartbeat" in lock and not lock.get("expired") and _silent(lock) < ALIVE_SECONDS
    gone = presence.ended(journals, lock.get("deployment")) or _over(lock, journals, owing=True)
    return beats and not gone


def _silent(lock: Event) -> float:
    if "silent" in lock:
        return float(lock["silent"])
    # An older agent does not count: the clocks of the host and of this controller have to agree.
    beat = dt.datetime.fromisoformat(str(lock["heartbeat"]))
    return (dt.datetime.now(dt.UTC) - beat).total_seconds()

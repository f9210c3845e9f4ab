"""Whose turn it is: one agent at a time changes what an app's users get, and a way back comes first.

Whoever changes the colours of an app holds ``agent.lock`` from its first look to its last write.
The system lets a lock go with its process, so one that is held has a living holder: who waits says
whom for, and waits on, up to ``WAIT_SECONDS``. Nothing that moves users takes that long.

A drain or a start may. So a way back (a revert, the dead-man) makes its wish known, by a lock of
its own. What only waits looks for that wish whenever it looks for what it waits for, and ends as
``overtaken`` at a point from which a re-run goes on. What moves users is not interrupted.

Backups change the database and no colour. They hold ``backup.lock`` instead, so that users are
sent back while one runs, however long it does. A restore waits for it as long as a statement may
take. So does the app's own migrator, with ``migrator.lock``, and so do its tasks, with ``task.lock``;
whoever ends one waits for nobody.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from typing import TYPE_CHECKING

from changeover.agent import running
from changeover.agent.failure import ActionError
from changeover.agent.smoke import private_nginx
from changeover.agent.system import durable, filelock
from changeover.agent.system.clock import stamp
from changeover.agent.traffic import nginx

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from changeover.agent.call import Call

WAIT_SECONDS = 600.0
BACKUP_SECONDS = 3600.0
BACKUP = "backup_"
# Who takes back waits for a backup that goes on without its controller, and not for hours.
WITHDRAWAL = "backup_withdraw"
WITHDRAWAL_SECONDS = 60.0
MIGRATOR_SECONDS = 86400.0
MIGRATOR = "migrator_"
TASK = "task_"
# They end what others do, so they wait for nobody.
ENDS = {"migrator_end", "task_end", "end"}
WISH = "way-back.lock"


@contextlib.contextmanager
def taken(call: Call, what: str, *, way_back: bool = False) -> Iterator[Call]:
    """Be the only agent that does such things to the app; give the call to do them with.

    Args:
        call: The action's surroundings.
        what: The action.
        way_back: Whether it goes before everything that can be interrupted.

    Raises:
        ActionError: ``agent-busy``, naming the one whose turn it still is; ``system-refused``.
    """
    saying = f"{what} of {call.deployment} since {stamp()}"
    state = call.places.state
    stuck = functools.partial(running.end_hung, call)
    apart = what.startswith((BACKUP, MIGRATOR, TASK)) or what in ENDS
    if what in ENDS:
        lock: AbstractContextManager[None] = contextlib.nullcontext()
    elif apart:
        backup = what.startswith(BACKUP)
        name = f"{what.partition('_')[0]}.lock"
        seconds = BACKUP_SECONDS if backup else MIGRATOR_SECONDS
        seconds = WITHDRAWAL_SECONDS if what == WITHDRAWAL else seconds
        lock = filelock.held(state / name, seconds, saying, call.progress, stuck=stuck)
    elif way_back:
        lock = _first(call, saying)
    else:
        lock = filelock.held(
            state / "agent.lock",
            WAIT_SECONDS,
            saying,
            call.progress,
            ready=lambda: not filelock.is_held(state / WISH),
            stuck=stuck,
        )
        call = dataclasses.replace(call, give_way=lambda: _give_way(state / WISH, what))
    with lock:
        if not apart:
            _tidied(call, way_back=way_back)
        yield call


def _tidied(call: Call, *, way_back: bool) -> None:
    """Remove what was left half made; users do not stay where they are since some of it cannot go."""
    try:
        _tidy(call)
    except (ActionError, OSError) as error:
        if not way_back:
            raise ActionError(
                "system-refused", "what an earlier agent left half made cannot go", cause=str(error)
            ) from error
        call.progress(f"what an earlier agent left half made stays: {error}")


def _tidy(call: Call) -> None:
    """Remove what an agent that was killed may have left half made."""
    places = call.places
    durable.clear(places.current, places.site, places.boot)
    durable.clear(places.maintenance, places.maintenance_boot)
    # The lease is written under a lock of its own; whoever takes it next writes over a half of it.
    kept = {".lock.json.new", ".fence.json.new"}
    found = [*places.state.glob(".*.new"), *places.environments.glob(".*.new")]
    found += places.units.rglob(f".{call.app.name}-*@*.service.new")
    for path in found:
        if path.name not in kept:
            path.unlink(missing_ok=True)
    if call.host.nginx:
        nginx.tidy(call)
        private_nginx.end(call)


@contextlib.contextmanager
def _first(call: Call, saying: str) -> Iterator[None]:
    state = call.places.state
    with contextlib.ExitStack() as stack:
        with filelock.wish(state / WISH) as wished:
            lock = filelock.held(
                state / "agent.lock",
                WAIT_SECONDS,
                saying,
                call.progress,
                ready=wished,
                stuck=functools.partial(running.end_hung, call),
            )
            stack.enter_context(lock)
        yield


def _give_way(wish: Path, what: str) -> None:
    if filelock.is_held(wish):
        raise ActionError(
            "overtaken", f"a way back goes first: {what} is not finished", hint="run it again"
        )

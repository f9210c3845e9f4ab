"""What may come next for the version that is live: the end of its bake window, the way back, and its backup."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from changeover import verdict
from changeover.colour import version_of
from changeover.errors import ChangeoverError
from changeover.executors import backup as backups
from changeover.runner import database, endings
from changeover.runner.backups import cut_off, freshness, restore_price
from changeover.runner.deployment import bake
from changeover.runner.own import back as own_back
from changeover.runner.rollback import goal as goals
from changeover.runner.rollback.back import contract_begun
from changeover.runner.tasks import declared as tasks_declared
from changeover.runner.undo import judgement as undoing
from changeover.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from changeover.runner.context import Context
    from changeover.runner.fleet.host_state import HostState
    from changeover.runner.run import Run

Event = dict[str, Any]


def outlook(context: Context, states: Sequence[HostState]) -> Iterator[Event]:
    """Give what is known beyond the hosts' own words; nothing where they do not agree.

    Args:
        context: What the verb works with.
        states: What the hosts said.
    """
    apps = [state for state in states if "app" in state.groups]
    live = {state.live for state in apps}
    if len(live) != 1 or None in live or any(state.live != state.confirmed for state in apps):
        return
    version = version_of(str(live.pop()))
    known = {goals.before(state) for state in apps}
    goal = known.pop() if len(known) == 1 else None
    placed = goal is not None and all(goal in state.placed for state in apps)
    try:
        window = bake.window(context.environment, context.release(version), states)
        if window.seconds:
            yield window.as_event()
        to = version_of(goal) if goal else None
        begun = contract_begun(apps, to) if to else ""
        yield _way_back(context, version, to, placed=placed, begun=begun)
        if left := _left_behind(context, version):
            yield left
        yield from _backups(context)
    except Exception as error:  # noqa: BLE001 - what the hosts said was told, whatever is wrong beside
        yield _event(None, "unknown", endings.known(error).message)


def _left_behind(context: Context, version: str) -> Event | None:
    """Tell what a later version has left in the database that the live one cannot live with."""
    try:
        found = undoing.in_the_way(
            context.environment, context.declared, context.releases, version, version
        )
    except ChangeoverError:
        return None  # the way back has told why the database does not answer
    if found is None:
        return None
    again = f"changeover rollback --to {version} --env {context.environment.name}"
    does = "undoes it" if found.verdict.kind == "revert" else "tells the backup and its price"
    return {
        "type": "left-behind",
        "kind": found.verdict.kind,
        "migrations": list(found.migrations),
        "command": again,
        "says": f"{version} cannot run on this database as it is: {found.verdict.because};"
        f" {again} {does}",
    }


def _backups(context: Context) -> Iterator[Event]:
    """Tell of a restore that was cut off, and of a last backup that is old.

    Where the log is archived any moment can be gone back to, however old a backup is.
    """
    environment, app = context.environment, context.declared.app
    if database.database_host(environment, context.declared) is None:
        return
    run = _looking(context)
    archived = environment.repository_host is not None
    try:
        known = backups.list_(backups.vault_of(run.fleet))
    except Exception as error:  # noqa: BLE001 - whoever looks is told, and nothing else depends on it
        if not archived:
            yield freshness.unseen(endings.known(error).message)
        return
    finally:
        run.fleet.close()
    found = [cut_off.restore(known, environment.name)]
    if not archived:
        found.append(freshness.warning(known, app, environment.name, dt.datetime.now(dt.UTC)))
    yield from filter(None, found)


def _looking(context: Context) -> Run:
    """Open a run that only looks, whatever version the agents are of."""
    run = context.run()
    run.fleet.any_agent = True
    return run


def _way_back(context: Context, version: str, to: str | None, *, placed: bool, begun: str) -> Event:
    if to is None:
        found = Verdict(
            kind="refused", because="the hosts record no common version before this one"
        )
    else:
        try:
            found, before = _judged(context, version, to, placed=placed)
            tasks = tasks_declared.facts(context.releases, version, to)
            found = verdict.beside_tasks(found, tasks)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the database, the hosts were told
            why = endings.known(error).message
            return _event(to, "unknown", f"{begun}: {why}" if begun else why)
        if found.kind == "restore":
            return _restore(context, to, found, before, placed=placed)
    return _event(to, found.kind, found.because)


def _judged(
    context: Context, version: str, to: str, *, placed: bool
) -> tuple[Verdict, restore_price.Before]:
    """Judge the way back, and say what a backup has to be from before of where it needs one."""
    asked = (context.environment, context.declared, context.releases, to, version)
    if found := undoing.way_back(*asked):
        return found.verdict, restore_price.Before(since=found.since)
    if own := own_back.judged(*asked):
        return own.verdict, restore_price.Before(backup=own.backup)
    again = "one rename goes back" if placed else "it is placed again, then one rename goes back"
    because = f"the old code runs on the schema, {again}"
    return Verdict(kind="instant", because=because), restore_price.Before()


def _restore(
    context: Context, to: str, found: Verdict, before: restore_price.Before, *, placed: bool
) -> Event:
    """Tell a restore with its price and the command that does it."""
    run = _looking(context)
    price = restore_price.behind(run, before)
    run.fleet.close()
    told = _event(to, found.kind, found.because)
    lines = [told["says"], f"  {price.behind()}", *(f"    {line}" for line in price.by_table())]
    does = None
    if price.backup:
        does = restore_price.command(run, to, price.backup, placed=placed)
        exactly = f"changeover backup price {price.backup} --env {run.environment.name}"
        lines += [f"  {does}", f"  {exactly} counts the rows one by one"]
    lines += [f"  {line}" for line in restore_price.nearer(run.environment)]
    return told | {"says": "\n".join(lines), "price": price.as_json(), "command": does}


def _event(to: str | None, kind: str, because: str) -> Event:
    goal = f" to {to}" if to else ""
    return {
        "type": "way-back",
        "to": to,
        "kind": kind,
        "because": because,
        "says": f"way back{goal}: {kind}: {because}",
    }

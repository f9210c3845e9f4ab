"""Rollback: send users back to what was live before, prove it, and stop what was left.

It needs no host but one that runs the app. What cannot be reached is left as it is and named.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from changeover.colour import version_of
from changeover.errors import ChangeoverError, CheckRed, InvalidInput
from changeover.executors import backup as backups
from changeover.release.figures import version_order
from changeover.release.reading import unknown_version
from changeover.runner import database, endings
from changeover.runner.fleet import agreement, away, survey
from changeover.runner.lease import holder
from changeover.runner.rollback import ends as way_ends
from changeover.runner.rollback import goal
from changeover.runner.rollback.meanwhile import Meanwhile
from changeover.runner.rollback.schema_gone import SchemaGone, refusal
from changeover.runner.rollback.way import Way
from changeover.runner.undo import in_rollback as undone
from changeover.runner.undo import judgement as undoing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from changeover import steps
    from changeover.runner.context import Context
    from changeover.runner.fleet.host_state import HostState
    from changeover.runner.fleet.survey import Seen
    from changeover.runner.run import Event, Run
    from changeover.runner.tasks.taken import TakenBack


def rollback(context: Context, *, to: str | None, backup: str | None) -> Event:
    """Go back to the colour before, or to what ``to`` names.

    Args:
        context: What the verb works with.
        to: A version or a colour; ``None`` for what was live before. A version that is on no host
            any more is placed again. What of the schema it cannot live with is undone first, where a
            rehearsal proved that this loses nothing.
        backup: A backup to swap the database for; ``None`` leaves the database as it is.

    Raises:
        LockHeld: A deployment is under way.
        NothingToGoBackTo: There is no such colour on the hosts; nothing was changed.
        SchemaGone: The version cannot run on this database any more, and undoing what is in its way
            would lose rows; users stay where they are.
        LedgerUnread: Nobody can tell whether it can, and contract migrations were begun.
        Mixed: Some hosts are back and others are not, or the old version is not proved.
    """
    run = context.run()
    run.fleet.any_agent = run.unstoppable = True
    meanwhile = Meanwhile(context, run) if backup is None else None
    seen = survey.look(run.fleet, run.lease_hosts)
    run.leave_out(dict.fromkeys(seen.fenced, away.FENCED))
    agreement.refuse_behind_page(seen.states.values(), run.environment.name)
    if to is None:
        holder.refuse_alive(
            seen.states.values(),
            run.journal.path.parent,
            hint=lambda lock: (
                f"{holder.wrest(lock, run.environment.name, seen.states.values())} where it is gone for certain"
            ),
        )
    if backup is not None and seen.lost:
        # An app host that nobody reaches may go on writing, and the backup is on the database's.
        raise endings.one_of(seen.lost)
    way = _way(context, run, seen, to)
    way.backup = backup
    way.take_back = partial(_tasks, context, run, seen, way.version)
    if meanwhile is not None:
        meanwhile.end(seen)
        way.check = partial(_undone, context, run, seen, way)
        if not way.steps:
            # Users are where they are to be; a later version may have left what theirs cannot live with.
            _undone(context, run, seen, way)
            way.owed = _owed(run, seen, way.version)
    run.begin("rollback", way.live, way.colour, steps=way.steps, lost=sorted(seen.lost))
    try:
        with run.holding(way.hosts):
            way.walk()
    except KeyboardInterrupt as error:
        raise way_ends.interrupted(way) from error
    except ChangeoverError as error:
        raise way_ends.failed(way, error) from error
    except Exception as error:
        raise way_ends.failed(way, endings.unexpected(error)) from error
    return way_ends.end(way)


def _tasks(context: Context, run: Run, seen: Seen, version: str) -> TakenBack:
    """Take back what tasks of later releases did, also where one of these cannot be read."""
    from changeover.runner.tasks import back  # noqa: PLC0415 - a rename waits for no task

    try:
        releases = context.releases
    except InvalidInput:
        return back.take_back(run, version, lost=seen.lost)
    return back.take_back(run, version, releases=releases, lost=seen.lost)


def _owed(run: Run, seen: Seen, version: str) -> bool:
    """Tell whether an earlier way back left something that tasks did; not where nobody can say."""
    from changeover.runner.tasks import back  # noqa: PLC0415 - as above

    host = database.database_host(run.environment, run.app)
    if host is None or host.name in seen.lost:
        return False
    try:
        return back.owed(run, version)
    except ChangeoverError:
        return False


def _way(context: Context, run: Run, seen: Seen, to: str | None) -> Way:
    try:
        return Way(run, seen, goal.choose(seen.apps, to, run.environment.name))
    except goal.NotPlaced as error:
        version = error.version or str(to)
        _refuse_unknown(context, version, seen, error)
        if seen.lost:
            # What has to be placed has to be placed everywhere, and the ledger has to be read.
            raise endings.one_of(seen.lost) from None
    live = agreement.agreed(seen.apps, "live", run.environment.name)
    if live is not None:
        _refuse_lossy(context, run, version, version_of(live), placed=False)
    from changeover.runner.rollback import anew  # noqa: PLC0415 - a rename waits for no builder

    colour, placing = anew.ways(run, context.releases, version)
    run.note(
        {"type": "note", "says": f"{version} is on no host any more: it is placed and proved first"}
    )
    return Way(run, seen, colour, placing=placing)


def _refuse_unknown(context: Context, to: str, seen: Seen, error: goal.NotPlaced) -> None:
    """Refuse what is neither on the hosts nor in this checkout.

    Raises:
        NotPlaced: It is a colour, and of a release that there is.
        VersionUnknown: There is no such release.
    """
    if to in context.releases:
        return
    if version_of(to) in context.releases:
        raise error
    placed = sorted({colour for state in seen.apps for colour in state.placed})
    unknown = unknown_version(context.app, to, context.releases)
    unknown.message += f", and the app hosts have only {', '.join(placed) or 'nothing'}"
    raise unknown from error


def refuse_contracted(context: Context, *, to: str | None, backup: str) -> None:
    """Refuse, before anybody is asked, what has to be placed on a schema that only the backup has.

    Raises:
        SchemaGone: The database has to be restored first; the hint holds both commands.
    """
    run = context.run()
    run.fleet.any_agent = True
    seen = survey.look(run.fleet, run.lease_hosts)
    run.leave_out(dict.fromkeys(seen.fenced, away.FENCED))
    run.fleet.close()
    name = run.environment.name
    try:
        goal.choose(seen.apps, to, name)
    except goal.NotPlaced as error:
        version = error.version or str(to)
        _refuse_unknown(context, version, seen, error)
    else:
        return
    live = agreement.agreed(seen.apps, "live", name)
    if live is None:
        return
    try:
        _refuse_lossy(context, run, version, version_of(live), placed=False)
    except SchemaGone as gone:
        gone.message = gone.message.replace(
            f"{version} cannot", f"{version} is on no host any more, and cannot", 1
        )
        gone.hint = (
            f"changeover backup restore {backup} --env {name}, "
            f"then changeover rollback --to {version} --env {name}"
        )
        raise


def _refuse_lossy(
    context: Context, run: Run, version: str, live: str, *, placed: bool
) -> steps.Undo | None:
    """Return what has to be undone for a version, and refuse where that would lose rows.

    Raises:
        SchemaGone: It would; the error tells the price.
    """
    environment, app = run.environment, run.app
    found = undoing.in_the_way(environment, app, context.releases, version, live)
    host = database.database_host(environment, app)
    if found is None or host is None:
        return None
    if found.verdict.kind != "revert":
        raise refusal(run, version, found, placed=placed)
    return found.step(host.name)


def _undone(context: Context, run: Run, seen: Seen, way: Way) -> steps.Undo | None:
    """Return what has to be undone; where the ledger says nothing, go back all the same.

    Raises:
        SchemaGone: That would lose rows.
        LedgerUnread: Contract migrations were begun, and the ledger says nothing.
    """
    host = database.database_host(run.environment, run.app)
    lost = seen.lost.get(host.name) if host else None
    if lost is not None:
        _unchecked(run, seen, way.version, lost.message)
        return None
    found = None
    try:
        for live in sorted({version_of(state.live) for state in seen.apps if state.live}):
            placed = not way.placing
            found = _refuse_lossy(context, run, way.version, live, placed=placed) or found
    except SchemaGone:
        raise
    except Exception as error:  # noqa: BLE001 - users go back, whatever keeps the ledger from answering
        _unchecked(run, seen, way.version, endings.known(error).message)
        return None
    if found is not None:
        names = ", ".join(found.migrations)
        since = undone.proved(run, found)
        says = (
            f"the way back is revert: {names} is undone first{since}; what was written since stays"
        )
        known, way.undo = way.undo, found
        if known != found:
            told = {"kind": "revert", "migrations": names, "steps": way.steps, "says": says}
            run.note({"type": "way-back", **told})
    return found


class LedgerUnread(CheckRed):
    """What the version needs of the database may be gone, and the database cannot be asked."""


def _unchecked(run: Run, seen: Seen, version: str, why: str) -> None:
    """Tell that nobody knows whether a version can read the database.

    Raises:
        LedgerUnread: The hosts remember that contract migrations of a later version were begun.
    """
    if begun := contract_begun(seen.apps, version):
        name = run.environment.name
        raise LedgerUnread(
            f"{begun}: {why}",
            hint=f"make the database answer, then changeover rollback --to {version} --env {name}",
        )
    says = f"warning: not checked whether {version} can still read the database: {why}"
    run.note({"type": "warning", "says": says})


def contract_begun(states: Iterable[HostState], version: str) -> str:
    """Say what hosts remember of contract migrations of versions later than one; empty for nothing."""
    begun = {version_of(colour) for state in states for colour in state.contracted}
    later = [each for each in begun if version_order(each) > version_order(version)]
    if not later:
        return ""
    return (
        f"finalize has begun to take away what {version} needs of the database (contract of"
        f" {', '.join(sorted(later))}), and the ledger does not say how far it came"
    )


def price(run: Run, backup: str) -> str:
    """Say what swapping the database for a backup would leave behind.

    Raises:
        BackupUnknown: There is no such backup.
    """
    found = backups.price(backups.vault_of(run.fleet), backup)
    run.fleet.close()
    return (
        f"{found.words()}\n"
        "and what users of the old version write until the swap, which counts all of it; it stays in"
        " the database that is kept beside the restored one"
    )

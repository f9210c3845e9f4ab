"""How a rollback ends: what is journaled, what serves, and what to type next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.colour import version_of
from changeover.executors import lease, operate
from changeover.executors.migrate.failures import StatementFailed
from changeover.runner import endings
from changeover.runner.back import retreat
from changeover.runner.own import back as own_back
from changeover.runner.rollback import database_live
from changeover.runner.rollback.schema_gone import SchemaGone
from changeover.runner.rollback.way import DRAIN_SECONDS
from changeover.runner.undo import in_rollback as undone

if TYPE_CHECKING:
    from changeover.errors import ChangeoverError
    from changeover.runner.rollback.way import Way
    from changeover.runner.run import Event

BEFORE = ("lock", "place", "undo", "start", "preview")


def end(way: Way) -> Event:
    """Return the event that ends a rollback.

    Raises:
        Mixed: An app host is not known to be back, or none answers any more.
    """
    if way.silent:
        raise _unanswered(way)
    if way.lost_apps:
        proved = ", proved" if way.steps else ""
        raise _half(way, f"{way.version} serves again on {retreat.listed(way.back)}{proved}")
    said = f"{way.version} serves again, proved"
    if not way.steps:
        said = f"nothing to do: {way.colour} is live already"
    said += way.taken.words
    if way.taken.error:
        owing = way.taken.error
        raise endings.mixed(way.run, f"{said}{_not_asked(way)}", owing, hint=owing.hint)
    if not way.backup:
        said += own_back.after(way.run, way.version, way.live, way.seen.lost)
    return way.run.end("done", 0, said + _not_asked(way))


def _unanswered(way: Way) -> ChangeoverError:
    """End where users were sent back, which was proved, and no app host answers any more."""
    lost = endings.one_of(way.silent)
    return endings.mixed(
        way.run,
        f"users were sent back to {way.version}, proved, and no app host answers any more: nobody "
        f"knows what they get ({lost.message})",
        lost,
        hint=f"when {lost.host} answers, changeover rollback --to {way.version} "
        f"--env {way.run.environment.name} proves it",
    )


def _not_asked(way: Way) -> str:
    apps = way.run.app_hosts
    lost = way.seen.lost_of(host for host in way.run.lease_hosts if host not in apps)
    if not lost:
        return ""
    return (
        f". Not done: the lease on {', '.join(lost)} was not taken "
        f"({'; '.join(endings.reasons(lost))}); rows and ledger there are as they were, and "
        "nothing is left to do"
    )


def _half(way: Way, said: str) -> ChangeoverError:
    lost = endings.one_of(way.lost_apps)
    restore = ""
    if way.backup and way.behind:
        said += "; the database was not swapped"
        restore = f" --restore-db {way.backup}"
    return endings.mixed(
        way.run,
        f"{said}; not known to be back: {lost.host}, which may still serve "
        f"{way.live or 'another version'} ({lost.message}){_not_asked(way)}",
        lost,
        hint=f"keep users from {lost.host}; when it answers, "
        f"changeover rollback --to {way.version}{restore} --env {way.run.environment.name}",
    )


def failed(way: Way, error: ChangeoverError) -> ChangeoverError:
    """Return what the user is told where a step was red."""
    run, name = way.run, way.run.environment.name
    refused = lease.taken(run.fleet, error)
    if refused:
        return endings.taken(run, refused, way.at)
    if way.at in BEFORE:
        return _stays(way, _as_rows_are(way, error))
    if way.at == "revert":
        return _went_nowhere(way, error)
    where = f"{way.version} serves again on {retreat.listed(way.back)}"
    if way.at == "restore" and way.backup:
        said, again = database_live.told(run, way.backup, error)
        return endings.mixed(run, f"{where}; {said}: {error.message}", error, hint=again)
    if way.lost_apps:
        return _half(way, f"{where}, and {way.at} is red: {error.message}")
    message = f"{where}, and is not proved: {way.at}: {error.message}{_not_asked(way)}"
    return endings.mixed(run, message, error, hint=f"changeover smoke --env {name}")


def _went_nowhere(way: Way, error: ChangeoverError) -> ChangeoverError:
    """End where no host answered that it went back; what users need where they stay is applied again."""
    message = f"no host went back to {way.version}: {error.message}"
    again = f"changeover rollback --to {way.colour} --env {way.run.environment.name}"
    hint = endings.after(error, again)
    if names := undone.needed(way.undo):
        if undone.all_stayed(way.run, way.app_hosts, way.live):
            return _put_back(way, error, message)
        message += f"; {', '.join(names)} stays undone, which {version_of(way.live or '')} may not run without"
    return endings.mixed(way.run, message + _not_asked(way), error, hint=hint)


def _as_rows_are(way: Way, error: ChangeoverError) -> ChangeoverError:
    """Return why undoing failed with the way back as it is now: rows that break it are no fault of the file."""
    if way.at != "undo" or not isinstance(error, StatementFailed):
        return error
    undo, name = way.undo, way.run.environment.name
    error.hint = (
        f"changeover status --env {name} tells the way back as it is now,"
        f" changeover rollback --to {way.version} --env {name} tries it again"
    )
    try:
        way.check()
    except SchemaGone as gone:
        error.message = f"{error.message}; {gone.message}"
        error.hint = gone.hint
        error.cause = "\n".join(each for each in (error.cause, gone.cause) if each)
    except Exception as second:  # noqa: BLE001 - what failed is told, whatever keeps the ledger from answering
        says = f"warning: the way back as it is now is not known: {endings.known(second).message}"
        way.run.note({"type": "warning", "says": says})
    way.undo = undo
    return error


def _stays(way: Way, error: ChangeoverError) -> ChangeoverError:
    """End where users were not moved; what is undone is so to the last committed statement."""
    run = way.run
    if way.at in {"start", "preview"}:
        operate.stop(run.fleet, way.app_hosts, way.colour, DRAIN_SECONDS)
    if way.at == "undo" and undone.needed(way.undo):
        return _put_back(way, error, error.message)
    lease.unlock(run.fleet, run.lease_hosts)
    if way.undo is None or way.at in {"lock", "place"}:
        run.end("failed", error.exit_code, f"{error.message}; nothing was changed")
        return error
    contract = any("/contract/" in name for name in way.undo.migrations)
    anew = "changeover finalize" if contract else f"a deployment of {way.undo.releases[-1]}"
    error.message += (
        f"; users stay on {version_of(way.live or '')}. Of {', '.join(way.undo.migrations)} "
        f"what was undone stays undone: this again goes on, {anew} runs them again"
    )
    run.end("failed", error.exit_code, error.message)
    return error


def _put_back(way: Way, error: ChangeoverError, message: str) -> ChangeoverError:
    """Have users keep a schema that their version runs on; where that fails, a person must look."""
    run, name, live = way.run, way.run.environment.name, version_of(way.live or "")
    found = undone.put_back(run, way.undo)
    if found is not None:
        message = f"{message}; {found.words(live)}"
    if found is None or found.error is None:
        lease.unlock(run.fleet, run.lease_hosts)
        error.message = message
        run.end("failed", error.exit_code, message)
        return error
    return endings.mixed(
        run,
        message,
        error,
        hint=f"changeover db migrate {live} --env {name} brings it back, "
        f"changeover rollback --to {way.version} --env {name} goes on",
    )


def interrupted(way: Way) -> ChangeoverError:
    """Return what the user is told who interrupted a rollback."""
    nothing = f"nothing was moved, {way.live or 'several versions'} serves"
    lacks = ", without which it may not run" if undone.needed(way.undo) else ""
    serves = {
        "undo": f"{way.live} serves, and what was undone stays undone{lacks}",
        "revert": f"users may be on either version on {retreat.listed(way.app_hosts)}",
        "restore": f"{way.version} serves, and the database host finishes what it has begun",
        "smoke": f"{way.version} serves again, not proved",
        "tasks": f"{way.version} serves again, proved; what later tasks did may not be taken back",
        "unlock": f"{way.version} serves again, proved",
    }.get(way.at, nothing)
    restore = f" --restore-db {way.backup}" if way.backup and way.at != "unlock" else ""
    # Until all hosts have it, a colour that is placed anew cannot be named.
    goal = way.version if way.placing and way.at in BEFORE else way.colour
    return endings.interrupted(
        way.run,
        f"interrupted at {way.at}: {serves}",
        hint=f"changeover rollback --to {goal}{restore} --env {way.run.environment.name} goes on",
        # Once users may have moved, the same command finds by the lease what it has to prove and to stop.
        free=way.at in BEFORE,
    )

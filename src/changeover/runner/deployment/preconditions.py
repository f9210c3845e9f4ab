"""A release's preconditions: which of them are waived, and what preflight finds of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from changeover.counts import counted
from changeover.document import suggestion
from changeover.errors import ChangeoverError, CheckRed, InvalidInput
from changeover.executors import migrate, preflight
from changeover.runner import database

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from changeover.executors.migrate import Answer
    from changeover.inventory import Environment
    from changeover.release import App, Precondition, Release

# How many rows stand in a finding's one line; its cause has more of them.
SHOWN = 3
MET = frozenset({"holds", "empty"})


class PreconditionUnknown(InvalidInput):
    """What was typed is no precondition of what is deployed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked of the live data.

    Args:
        preconditions: The preconditions.
        waived: The ids of those that warn instead of being red.
    """

    preconditions: Sequence[Precondition] = ()
    waived: Sequence[str] = ()


def refuse_unknown(waived: Iterable[str], releases: Iterable[Release]) -> None:
    """Refuse to waive what none of these releases declares.

    Raises:
        PreconditionUnknown: The hint names those that there are.
    """
    declared = {each.id: release.version for release in releases for each in release.preconditions}
    for name in waived:
        if name not in declared:
            known = ", ".join(f"{each} ({version})" for each, version in declared.items())
            raise PreconditionUnknown(
                f"--waive {name}: no precondition is called so{suggestion(name, declared)}",
                hint=f"name one of: {known}" if known else "deploy without --waive: there is none",
            )


def asked_of(release: Release, live_version: str | None, waived: Iterable[str]) -> Asked:
    """Return what is asked before a release is reached; another build of what is live asks nothing."""
    preconditions = () if live_version == release.version else release.preconditions
    ids = [each.id for each in preconditions]
    return Asked(preconditions=preconditions, waived=tuple(i for i in ids if i in set(waived)))


def lines(asked: Asked) -> Iterator[str]:
    """Give a line for each precondition that a plan is held to."""
    for each in asked.preconditions:
        yield f"{each.id}  {each.summary}{' (waived)' if each.id in asked.waived else ''}"


def findings(
    environment: Environment,
    app: App,
    release: Release,
    asked: Asked,
    failed: ChangeoverError | None = None,
) -> Iterator[preflight.Finding]:
    """Yield what preflight finds of the live data: red where it is against the release.

    Args:
        environment: Where the release is to go.
        app: Its app.
        release: The release.
        asked: What is asked of it.
        failed: Why the database cannot be asked, where that is known.
    """
    if not asked.preconditions:
        return
    host = database.database_host(environment, app)
    try:
        if failed is not None:
            raise failed
        if host is None:
            raise CheckRed(
                f"{environment.name} has no database host", hint="add one to its group db"
            )
        with database.owner_database(environment, app) as place:
            answers = migrate.answered(place, asked.preconditions)
    except ChangeoverError as error:
        for each in asked.preconditions:
            yield preflight.Finding.of(error, each.id)
        return
    unmet = [each.precondition.id for each in answers if each.state not in MET]
    waive = " ".join(f"--waive {each}" for each in unmet)
    for answer in answers:
        waived = answer.precondition.id in asked.waived
        yield _finding(answer, release, host.name, waive, waived=waived)


def _finding(
    answer: Answer, release: Release, host: str, waive: str, *, waived: bool
) -> preflight.Finding:
    asked = answer.precondition
    if answer.state in MET:
        without = "; the database holds no rows" if answer.state == "empty" else ""
        return preflight.Finding(
            id=asked.id, status="ok", host=host, message=f"{asked.summary}{without}"
        )
    message, hint = _broken(answer) if answer.state == "broken" else _unasked(answer, release)
    return preflight.Finding(
        id=asked.id,
        status="warn" if waived else "red",
        host=host,
        message=f"waived: {message}" if waived else message,
        next="" if waived else f"{hint}; {waive} goes on all the same",
        cause="\n".join(_told(answer, len(answer.rows))) or None,
    )


def _broken(answer: Answer) -> tuple[str, str]:
    asked = answer.precondition
    rows = counted(answer.number, "row against it", "rows against it")
    message = f"not met: {asked.summary}; {rows}: {'; '.join(_told(answer, SHOWN))}"
    return message, asked.hint


def _told(answer: Answer, most: int) -> Iterator[str]:
    yield from answer.rows[:most]
    if (more := answer.number - len(answer.rows[:most])) > 0:
        yield f"and {more} more"


def _unasked(answer: Answer, release: Release) -> tuple[str, str]:
    asked = answer.precondition
    message = f"cannot be asked whether {asked.summary}: {answer.said}"
    if answer.state == "absent":
        return message, "first deploy the release that brings it"
    where = f"preconditions, {asked.id}, of release {release.version}"
    if answer.state == "slow":
        return message, f"make rows quicker: {where}"
    return message, f"correct {where}"

"""What going back would cost, judged from the migrations that stand in the way. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from changeover.counts import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

POSITIONS = "an INSERT of the old code that names no columns would fill others"
Kind = Literal["instant", "revert", "restore", "refused"]  # the best first


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationFact:
    """What a verdict has to know of one migration.

    Args:
        id: ``<version>/<phase>/<name>``.
        phase: ``expand``, ``backfill`` or ``contract``; empty for what has no phases.
        reversible: Whether it declares how it is undone.
        breaks: Whether the old code cannot run on what it leaves, whatever its phase.
        lossless: What the last rehearsal of exactly this content found: whether undoing it brings
            definitions and rows back; ``None`` where it was not tried.
        because: What was different, where something was; of one that is lossless, the order of
            columns alone.
        takes: What it takes away or overwrites of what users have written; empty where nothing.
        lived_with: Whether the version to go back to has run it, too.
        holds: What undoing it demands of every row, in words: rows written since may break it.
        broken: Which of that the live rows break, where they were asked.
        coexists: Where it forbids writes alone, and a rehearsal of exactly this content ran what the old
            version writes on it: what was run, and as whom. The old code can run then all the same.
        untried: Whether it has what the old version writes, and no rehearsal showed yet that this works.
    """

    id: str
    phase: str
    reversible: bool
    breaks: bool = False
    lossless: bool | None = None
    because: str = ""
    takes: str = ""
    lived_with: bool = False
    holds: tuple[str, ...] = ()
    broken: str = ""
    coexists: str = ""
    untried: bool = False

    @property
    def lasting(self) -> bool:
        """Whether it is undone before the old code runs: it has to be, or brings back what was taken."""
        brought_back = bool(self.takes and self.reversible and self.lossless)
        barred = self.breaks and not self.coexists
        return not self.lived_with and (barred or self.phase == "contract" or brought_back)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The way back after a plan has run.

    Args:
        kind: ``instant``: the old code runs on the new schema, one rename goes back. ``revert``: what
            stands in the way is undone first, and a rehearsal proved that this loses nothing.
            ``restore``: only the backup brings the old schema back, and rows written since are lost.
            ``refused``: there is no way back.
        because: One sentence for a person.
    """

    kind: Kind
    because: str


def worse(kind: str, than: str) -> bool:
    """Tell whether a way back costs more than another one.

    Raises:
        ValueError: One of them is no way back.
    """
    known = get_args(Kind)
    return bool(known.index(kind) > known.index(than))


def judge(migrations: Iterable[MigrationFact], *, first: bool = False) -> Verdict:
    """Judge the way back over these migrations.

    Args:
        migrations: What stands in the database and what runs, in the order of their running.
        first: Whether nothing was live before, so that there is nothing to go back to.
    """
    known = tuple(migrations)
    if first:
        return Verdict(kind="refused", because="nothing was live before")
    changes = [fact for fact in known if not fact.lived_with]
    if not changes:
        return Verdict(kind="instant", because="the schema does not change: one rename goes back")
    lasting = in_the_way(known)
    found = undoing(lasting) if lasting else None
    taking = [fact for fact in changes if fact.takes and fact not in lasting]
    if taking and (found is None or found.kind == "revert"):
        return _taken(taking, found)
    return found or Verdict(kind="instant", because=_runs_on(changes))


def _runs_on(changes: Sequence[MigrationFact]) -> str:
    """Say what the old code runs on."""
    shown = [f"{fact.id} ({fact.coexists})" for fact in changes if fact.coexists]
    proof = f"; a rehearsal ran what it writes beside {', '.join(shown)}" if shown else ""
    return (
        f"{counted(len(changes), 'migration only adds', 'migrations only add')}: the old code runs"
        f" on the new schema, one rename goes back{proof}"
    )


def in_the_way(migrations: Sequence[MigrationFact]) -> tuple[MigrationFact, ...]:
    """Return what is undone before the old code runs: the first that has to be, and all on top of it."""
    places = (place for place, fact in enumerate(migrations) if fact.lasting)
    first = next(places, len(migrations))
    return tuple(migrations[first:])


def restored(migrations: Sequence[MigrationFact]) -> tuple[MigrationFact, ...]:
    """Return what a backup has to be from before of where the way back is ``restore``, in the same order."""
    lasting = in_the_way(migrations)
    return tuple(
        fact for fact in migrations if fact in lasting or (fact.takes and not fact.lived_with)
    )


def _taken(taking: Sequence[MigrationFact], undone: Verdict | None) -> Verdict:
    """Judge what the old code runs without: no rename and no undoing brings it back."""
    what = ", ".join(f"{fact.id} has {fact.takes}" for fact in taking)
    rename = f"{undone.because}; then one rename" if undone else "one rename"
    return Verdict(
        kind="restore",
        because=f"{what}: what that takes away or overwrites only the backup brings back, and rows "
        f"written since are lost; without it the old code runs: {rename} sends users back",
    )


def undoing(lasting: Sequence[MigrationFact]) -> Verdict:
    """Judge the undoing of migrations; there is one at least."""
    reasons = {
        "cannot be undone": [fact.id for fact in lasting if not fact.reversible],
        "is undone with a loss": [
            f"{fact.id} ({fact.because})"
            for fact in lasting
            if fact.reversible and fact.lossless is False
        ],
        "was never undone in a rehearsal": [
            fact.id for fact in lasting if fact.reversible and fact.lossless is None
        ],
        "cannot be undone as the rows are": [
            f"{fact.id} ({fact.broken})" for fact in lasting if fact.broken
        ],
    }
    because = "; ".join(f"{', '.join(names)} {why}" for why, names in reasons.items() if names)
    if because:
        return Verdict(
            kind="restore",
            because=f"{because}: the way back is the backup, and rows written since are lost"
            + _hope(lasting),
        )
    names = ", ".join(fact.id for fact in lasting)
    moved = "; ".join(dict.fromkeys(fact.because for fact in lasting if fact.because))
    holds = ", ".join(what for fact in lasting for what in fact.holds)
    return Verdict(
        kind="revert",
        because=f"{names} {'is' if len(lasting) == 1 else 'are'} undone before users are sent back: "
        f"rehearsed, and nothing is lost{f', as long as no row breaks {holds}' if holds else ''}"
        f"{f'; but {moved}: {POSITIONS}' if moved else ''}",
    )


def _hope(lasting: Sequence[MigrationFact]) -> str:
    """Say what a rehearsal may make of it; empty where it cannot help."""
    barring = [fact for fact in lasting if fact.lasting]
    if not all(fact.untried for fact in barring):
        return ""
    names = ", ".join(fact.id for fact in barring)
    return (
        f"; no rehearsal showed yet that the old version writes beside {names}: where it does, as each"
        " deployment tries before users move, one rename goes back"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFact:
    """What a verdict has to know of a task that a release runs.

    Args:
        id: ``<version>/<run>``.
        undo: Whether the release declares what takes it back; otherwise what it did stays.
    """

    id: str
    undo: bool


def beside_tasks(found: Verdict, tasks: Sequence[TaskFact]) -> Verdict:
    """Return a way back that tells what becomes of what tasks did.

    Both versions are up while one runs, so the version before has to run with that in any case: what
    the way back costs is the same.
    """
    if found.kind == "refused" or not tasks:
        return found
    undone = [each.id for each in reversed(tasks) if each.undo]
    stays = [each.id for each in tasks if not each.undo]
    words = [
        *(
            [f"{', '.join(undone)} {_are(undone)} taken back by {_its(undone)} own undo"]
            * bool(undone)
        ),
        *([f"what {', '.join(stays)} did stays, the version before runs with it"] * bool(stays)),
    ]
    return Verdict(kind=found.kind, because="; ".join([found.because, *words]))


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _its(names: Sequence[str]) -> str:
    return "its" if len(names) == 1 else "their"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnFact:
    """What a verdict has to know of one run of an app's own migrator.

    Args:
        id: ``<version>/migrator``.
        undo: Whether the release declares what takes it back.
        proved: Whether a rehearsal showed that this brings back definitions and rows; ``None`` before.
    """

    id: str
    undo: bool
    proved: bool | None

    @property
    def lacks(self) -> str:
        """Say why it cannot be taken back; empty where it can."""
        if not self.undo:
            return f"{self.id} declares no undo"
        if self.proved is None:
            return f"no rehearsal tried the undo of {self.id} yet"
        return "" if self.proved else f"the undo of {self.id} does not bring everything back"


def judge_own(migrators: Sequence[OwnFact], *, first: bool = False) -> Verdict:
    """Judge the way back over apps' own migrators: nobody else knows what they change.

    Args:
        migrators: What stands and what runs, in the order of their running; there is one at least.
        first: Whether nothing was live before.
    """
    if first:
        return Verdict(kind="refused", because="nothing was live before")
    names = tuple(dict.fromkeys(each.id for each in migrators))
    leave = "leaves" if len(names) == 1 else "leave"
    moved = (
        f"users go back by a rename, to code that nobody tried on what {', '.join(names)} {leave}"
    )
    lacks = [each.lacks for each in migrators if each.lacks]
    if not lacks:
        undo = "its undo" if len(names) == 1 else "the undo of each"
        order = "" if len(names) == 1 else ", the newest first"
        return Verdict(
            kind="revert",
            because=f"{moved}; {undo} brought back every definition and row on the clone, and is"
            f" run by hand{order}",
        )
    return Verdict(
        kind="restore",
        because=f"{moved}; what was changed goes back by the backup alone, and rows written since"
        f" are lost then: {'; '.join(lacks)}",
    )

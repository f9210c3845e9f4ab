"""What the archive of the log holds: physical backups, named points, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from changeover.counts import counted
from changeover.duration import words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Event = dict[str, Any]
# One that is late by as much as this many times its schedule is not coming.
LATE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class PhysicalBackup:
    """One physical backup in the repository.

    Args:
        label: Its name in the repository.
        type: ``full``, ``differential`` or ``incremental``.
        started: When it began, UTC.
        finished: From when on any moment can be recovered, UTC.
        bytes: Size of the cluster.
        stored_bytes: What it takes in the repository.
        damaged: Whether a page of the cluster was not as its checksum says.
    """

    label: str
    type: str
    started: str
    finished: str
    bytes: int
    stored_bytes: int
    damaged: bool

    @classmethod
    def read(cls, answer: Event) -> Self:
        """Read the agent's answer."""
        return cls(**{name: answer[name] for name in cls.__slots__})


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A moment in the log that has a name.

    Args:
        name: The name.
        at: When, UTC.
        deployment: Which deployment named it.
        failing: Whether the log did not arrive in the repository then.
        known: Whether it had the name before it was asked for; it keeps that moment.
        before: The migration that began right after it; empty where none did.
    """

    name: str
    at: str
    deployment: str
    failing: bool
    known: bool = True
    before: str = ""

    @classmethod
    def read(cls, answer: Event) -> Self:
        """Read the agent's answer; a point that is listed is known."""
        return cls(**{name: answer[name] for name in cls.__slots__ if name in answer})


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """Something that keeps moments from being recovered.

    Args:
        about: What it is about, as a word.
        says: What is.
        command: The next step; ``{env}`` is the environment's name.
    """

    about: str
    says: str
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """What can be recovered.

    Args:
        repository: The host that keeps the repository.
        apart: Whether that is another host than the database's.
        backups: The physical backups, oldest first.
        earliest: The first moment that can be recovered, UTC; ``None`` before the first backup.
        latest: Up to when the log is in the repository, UTC; ``None`` where the server does not say.
        failing: What the archiver was refused last and when, where nothing arrives since.
        points: The named points, oldest first.
        drilled: The last drill that went well: ``drilled``, ``words``, ``at``, ``rows``, ``tables``.
        scratch_bytes: What a scratch cluster takes now; ``None`` where there is none.
        lost: The last gap in the log: ``files``, ``since``, ``until``, and ``whole``, ``None`` where no
            backup was taken after it; ``None`` where there is no gap.
        age_seconds: How long ago the newest backup was taken; ``None`` where there is none.
        every_seconds: The longest time from one to the next by the timers; ``None`` without any.
    """

    repository: str
    apart: bool
    backups: tuple[PhysicalBackup, ...]
    earliest: str | None
    latest: str | None
    failing: str | None
    points: tuple[Point, ...]
    drilled: Mapping[str, Any] | None
    scratch_bytes: int | None
    lost: Mapping[str, Any] | None = None
    age_seconds: float | None = None
    every_seconds: float | None = None

    def warnings(self) -> Iterator[Warned]:
        """Yield what keeps moments from being recovered, or soon will."""
        if self.failing:
            yield Warned(
                about="log-archive",
                says=f"the log does not arrive in the repository: {self.failing}",
                command="changeover provision --env {env} tries the archive, and tells what is wrong",
            )
        if self.lost and self.lost["whole"] is None:
            until = f" to {self.lost['until']}" if self.lost["until"] else ""
            yield Warned(
                about="log-gap",
                says=f"{counted(self.lost['files'], 'file')} of the log from {self.lost['since']}{until} did"
                " not come into the repository: no later moment can be recovered",
                command="changeover backup create --physical --full --env {env} makes later ones recoverable",
            )
        if not self.backups:
            says, late = "there is no physical backup, so no moment can be recovered", True
        else:
            age, every = self.age_seconds or 0.0, self.every_seconds
            late = every is not None and age > LATE * every
            says = (
                f"the newest physical backup is {words(age)} old, and one is to be taken every"
                f" {words(every or 0.0)}"
            )
        if late:
            yield Warned(
                about="physical-backup",
                says=says,
                command="changeover backup create --physical --env {env};"
                " systemctl status 'changeover-physical@*' on the repository's host",
            )

    @classmethod
    def read(cls, answer: Event) -> Self:
        """Read the agent's answer."""
        archiver = answer["archiver"] or {}
        failing = (
            f"{archiver['last_failed_wal']} was refused at {archiver['failed']}"
            if archiver.get("failing")
            else None
        )
        return cls(
            repository=answer["repository"],
            apart=answer["apart"],
            backups=tuple(PhysicalBackup.read(one) for one in answer["backups"]),
            earliest=answer["earliest"],
            latest=answer["latest"],
            failing=failing,
            points=tuple(Point.read(one) for one in answer["points"]),
            drilled=answer["drilled"],
            scratch_bytes=answer["scratch_bytes"],
            lost=answer["lost"],
            age_seconds=answer["age_seconds"],
            every_seconds=answer["every_seconds"],
        )

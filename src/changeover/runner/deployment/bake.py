"""The bake window: how long a confirmed version has to hold before `finalize` may take the way back away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from changeover import duration
from changeover.errors import CheckRed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from changeover.inventory import Environment
    from changeover.release import Release
    from changeover.runner.fleet.host_state import HostState

Event = dict[str, Any]


class BakeWindowOpen(CheckRed):
    """The version has not been live for as long as it has to be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The bake window of the version that is live.

    Args:
        version: The version.
        seconds: How long it has to be live.
        elapsed: How long it has been, by the clock of the host that was told last; ``None`` where a
            host does not know.
    """

    version: str
    seconds: int
    elapsed: float | None

    @property
    def left(self) -> float:
        """Seconds until it ends; 0 where it is over, or nobody knows since when."""
        return 0.0 if self.elapsed is None else max(self.seconds - self.elapsed, 0.0)

    def words(self) -> str:
        """Say how far it is."""
        whole = duration.words(self.seconds)
        if self.left:
            return (
                f"the bake window of {self.version} ends in {duration.words(self.left)}, of {whole}"
            )
        if self.elapsed is None and self.seconds:
            return (
                f"a host does not know since when {self.version} is live: nobody can tell when its"
                f" bake window ({whole}) ends"
            )
        return (
            f"the bake window of {self.version} ({whole}) is over: changeover finalize may end it"
        )

    def as_event(self) -> Event:
        """Return it as an event."""
        return {
            "type": "bake-window",
            "version": self.version,
            "seconds": self.seconds,
            "seconds_left": round(self.left),
            "says": self.words(),
        }


def declared(environment: Environment, release: Release) -> int:
    """Return the seconds that a version has to be live: the environment's word, else the release's."""
    own = environment.conduct.bake_window_seconds
    return duration.seconds(release.bake_window) if own is None else own


def window(environment: Environment, release: Release, states: Iterable[HostState]) -> Window:
    """Return the bake window of the live version, by what the app hosts say."""
    spans = [state.settled_seconds for state in states if "app" in state.groups]
    known = [span for span in spans if span is not None]
    return Window(
        version=release.version,
        seconds=declared(environment, release),
        elapsed=min(known) if spans and len(known) == len(spans) else None,
    )


def refuse_open(found: Window, environment: str) -> None:
    """Refuse to end a bake window before its time.

    Raises:
        BakeWindowOpen: It is not over, or nobody can tell.
    """
    if found.left or (found.elapsed is None and found.seconds):
        raise BakeWindowOpen(
            found.words(),
            hint=f"wait; or, where waiting is worse: "
            f'changeover finalize --early "WHY" --env {environment}',
        )

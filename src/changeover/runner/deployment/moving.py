"""How a release takes its predecessor's place on the hosts, and which files it brings with it."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Literal

from changeover import bundle
from changeover.runner.page import everywhere

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from changeover.release import Release
    from changeover.runner.fleet.host_state import HostState
    from changeover.runner.run import Run


def strategy(
    run: Run, before: Release | None, states: Iterable[HostState]
) -> Literal["beside", "maintenance"]:
    """Return whether the run's release runs beside its predecessor or in its place.

    In its place where it says so, and where it comes from a version that it does not follow: nobody
    declared that it runs beside that one.

    Raises:
        PageUnserved: It would be behind a page that a live site does not show.
    """
    release = run.release
    if release is None or before is None or before.version == release.version:
        return "beside"
    if release.strategy == "beside" and before.version in release.follows:
        return "beside"
    apps = [state for state in states if "app" in state.groups]
    everywhere.refuse_unserved(apps, run.app.app, run.environment.name)
    return "maintenance"


def files(run: Run, before: Release | None, after: Release) -> Iterator[str]:
    """Give the unified diffs of the files that a release brings with it."""
    old = bundle.rendered(run.root, run.app, before) if before else {}
    new = bundle.rendered(run.root, run.app, after)
    for name in sorted({*old, *new}):
        lines = list(
            difflib.unified_diff(
                old.get(name, "").splitlines(),
                new.get(name, "").splitlines(),
                f"{name} ({before.version if before else 'nothing'})",
                f"{name} ({after.version})",
                lineterm="",
                n=1,
            )
        )
        if lines:
            yield "\n".join(lines)

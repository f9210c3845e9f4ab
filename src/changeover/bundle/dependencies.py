"""Install what a release's lock file pins, by the package manager of its kind."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from changeover.bundle import npm, wheels
from changeover.bundle.installing import Dependencies

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from changeover.bundle.members import Member
    from changeover.release import App, Release


@contextlib.contextmanager
def installed(
    app: App, release: Release, code: Sequence[Member], cache: Path
) -> Iterator[Dependencies]:
    """Give what building adds to the code; its files live as long as the context.

    Args:
        app: The app, whose runtime it is for.
        release: What to build.
        code: Its code.
        cache: A directory that keeps downloads and installed packages between builds.

    Raises:
        BuildFailed: The package manager failed; the cause is the end of what it said.
        LockUnfit, WheelMissing, HashWrong, ProgramMissing: What a Python release pins or names is
            not there.
    """
    with tempfile.TemporaryDirectory(prefix="changeover-build-") as directory:
        place = Path(directory)
        match release.build.kind:
            case "none":
                yield Dependencies()
            case "npm":
                yield npm.installed(release, code, place, cache)
            case "python":
                yield wheels.installed(app, release, code, place, cache)

"""Install what a release's lock file pins, in a copy of its code."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from changeover.bundle import package_store
from changeover.bundle.members import Member, is_executable
from changeover.errors import Failed, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from changeover.release import Release

INSTALL_SECONDS = 540
TAIL_LINES = 25


class BuildFailed(Failed):
    """The dependencies of a release could not be installed."""


class BuildKindUnknown(InvalidInput):
    """There is no such way to build yet."""


@contextlib.contextmanager
def installed(release: Release, code: Sequence[Member], cache: Path) -> Iterator[list[Member]]:
    """Give the members that building adds to the code; they live as long as the context.

    Args:
        release: What to build.
        code: Its code.
        cache: A directory that keeps downloads and installed packages between builds.

    Raises:
        BuildFailed: The package manager failed; the cause is the end of what it said.
    """
    match release.build.kind:
        case "none":
            yield []
        case "npm":
            with tempfile.TemporaryDirectory(prefix="changeover-build-") as directory:
                place = Path(directory)
                yield _npm_packages(release, code, place, cache)
        case "python":
            raise BuildKindUnknown(
                f"{release.version}: releases in Python are not built yet",
                hint="use build kind none and list the code with its dependencies",
            )


def _npm_packages(
    release: Release, code: Sequence[Member], place: Path, cache: Path
) -> list[Member]:
    store, key = cache / "installed", package_store.key_of(code)
    if package_store.restore(store, key, place):
        return list(_packages(place))
    _copy(code, place)
    _npm(release, place, cache / "npm")
    packages = list(_packages(place))
    package_store.keep(store, key, packages)
    return packages


def _copy(code: Sequence[Member], place: Path) -> None:
    for member in code:
        target = place / member.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(member.content())


def _npm(release: Release, place: Path, cache: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise BuildFailed("npm is not installed", hint="apt-get install nodejs npm")
    cache.mkdir(parents=True, exist_ok=True)
    options = ["--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
    try:
        done = subprocess.run(
            [npm, "ci", *options, "--cache", str(cache), "--loglevel=error"],
            cwd=place / "code",
            env={**os.environ, "npm_config_update_notifier": "false", "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=INSTALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BuildFailed(
            f"npm ci for {release.version} took more than {INSTALL_SECONDS} s",
            hint="check the connection to the npm registry, then run this again",
        ) from error
    if done.returncode != 0:
        raise BuildFailed(
            f"npm ci for {release.version} failed with exit code {done.returncode}",
            hint="correct package.json and package-lock.json, then run this again",
            cause="\n".join(done.stdout.splitlines()[-TAIL_LINES:]),
        )


def _packages(place: Path) -> Iterator[Member]:
    top = place / "code" / "node_modules"
    for directory, names, files in os.walk(top):
        here = Path(directory)
        # links to programs of packages; nothing on a host starts them by these names
        names[:] = sorted(name for name in names if name != ".bin")
        for name in [*names, *files]:
            if (here / name).is_symlink():
                raise BuildFailed(
                    f"the package {name} is a link to a directory",
                    hint="depend on a version or on a packed file, not on a directory",
                )
        for name in sorted(files):
            # npm's note of where it took each package from; different on every machine
            if here != top or name != ".package-lock.json":
                path = (here / name).relative_to(place)
                yield Member(path.as_posix(), here / name, executable=is_executable(here / name))

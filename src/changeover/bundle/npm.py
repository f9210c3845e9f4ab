"""Install with npm what package-lock.json pins."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from changeover.bundle import installing, package_store, sbom
from changeover.bundle.installing import BuildFailed, Dependencies
from changeover.bundle.members import Member, is_executable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from changeover.release import Release

LOCK = "code/package-lock.json"
# all that decides what is installed; the lock holds the digest of every package
DECIDING = ("code/package.json", LOCK, "code/.npmrc")


def installed(release: Release, code: Sequence[Member], place: Path, cache: Path) -> Dependencies:
    """Return the packages, installed in an empty directory or kept from an earlier build.

    Raises:
        BuildFailed: npm is not there, failed, or was too slow.
    """
    store, key = cache / "installed", package_store.key_of(code, DECIDING)
    if not package_store.restore(store, key, place):
        installing.lay(code, place)
        _npm(release, place, cache / "npm")
        package_store.keep(store, key, list(_packages(place)))
    packages = list(_packages(place))
    directories = {
        member.path.removeprefix("code/").removesuffix("/package.json")
        for member in packages
        if member.path.endswith("/package.json")
    }
    locks = [member.content() for member in code if member.path == LOCK]
    return Dependencies(packages, sbom.of_npm(locks[0], directories) if locks and packages else [])


def _npm(release: Release, place: Path, cache: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise BuildFailed("npm is not installed", hint="apt-get install nodejs npm")
    cache.mkdir(parents=True, exist_ok=True)
    options = ["--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
    done = installing.run(
        [npm, "ci", *options, "--cache", str(cache), "--loglevel=error"],
        f"npm ci for {release.version}",
        place / "code",
        {**os.environ, "npm_config_update_notifier": "false", "NO_COLOR": "1"},
    )
    if done.exit != 0:
        raise BuildFailed(
            f"npm ci for {release.version} failed with exit code {done.exit}",
            hint="correct package.json and package-lock.json, then run this again",
            cause=done.tail,
        )


def _packages(place: Path) -> Iterator[Member]:
    top = place / "code" / "node_modules"
    for directory, names, files in os.walk(top):
        here = top / directory
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

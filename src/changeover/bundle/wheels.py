"""Install with pip the wheels that requirements.lock pins, for the hosts' interpreter and system."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import sys
from typing import TYPE_CHECKING, Any

from changeover.bundle import installing, package_store, programs, python_lock, sbom
from changeover.bundle.installing import BuildFailed, Dependencies
from changeover.bundle.manifest import canonical
from changeover.bundle.members import Member, is_executable
from changeover.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from changeover.release import App, Release

LOCK = f"code/{python_lock.FILE_NAME}"
NOTE = f"{programs.TOP}/wheels.json"
# glibc 2.36 is that of Debian 12; 2.17 is what manylinux2014 means, and pip knows the older ones
NEWEST_GLIBC, OLDEST_GLIBC = 36, 17
# written by pip about itself, not by the wheel
OF_PIP = frozenset({"REQUESTED", "direct_url.json"})
ABSENT = re.compile(r"No matching distribution found for (?P<which>\S+)")
UNPINNED = re.compile(r"requirements must have their versions pinned.*:\n\s*(?P<which>.+)")
DIFFERS = re.compile(r"DO NOT MATCH THE HASHES.*\n\s*(?P<which>\S+)")


class WheelMissing(InvalidInput):
    """Nobody offers a wheel of a pinned version that fits the hosts."""


class HashWrong(InvalidInput):
    """A package that was offered is not the one that the lock pins."""


def installed(
    app: App, release: Release, code: Sequence[Member], place: Path, cache: Path
) -> Dependencies:
    """Return wheels and programs, installed in an empty directory or kept from an earlier build.

    Raises:
        BuildFailed: pip is not there, failed, or was too slow.
        LockUnfit: The lock names addresses, or leaves open what is installed.
        WheelMissing, HashWrong: What it pins is not offered.
        ProgramMissing: A command of the release names what no package brings.
    """
    python = str(app.runtime.version)
    lock = next(member for member in code if member.path == LOCK)
    python_lock.require_pinned(lock.content().decode(errors="replace"))
    store, key = cache / "installed", package_store.key_of(code, (LOCK,), python)
    if not package_store.restore(store, key, place):
        installing.lay([lock], place)
        _pip(release, python, place, cache / "pip")
        package_store.keep(store, key, list(_packages(place)))
    there = list(programs.members(python, _scripts(place)))
    programs.require(release, {member.path.rpartition("/")[2] for member in there})
    noted = json.loads((place / "code" / NOTE).read_bytes())
    return Dependencies([*_packages(place), *there], list(sbom.of_wheels(noted)))


def systems(machine: str) -> list[str]:
    """Return the tags of wheels that a host can load, the newest first."""
    newer = (f"manylinux_2_{minor}" for minor in range(NEWEST_GLIBC, OLDEST_GLIBC - 1, -1))
    return [f"{tag}_{machine}" for tag in (*newer, "manylinux2014", "linux")]


def _pip(release: Release, python: str, place: Path, cache: Path) -> None:
    top, report = place / "code" / programs.PACKAGES, place / "report.json"
    top.parent.mkdir(parents=True)
    fixed = ["--require-hashes", "--only-binary=:all:", "--no-compile", "--quiet", "--no-input"]
    quiet = ["--disable-pip-version-check", "--no-warn-script-location", "--no-color"]
    fitting = ["--python-version", python, "--implementation", "cp"]
    fitting += [f"--platform={tag}" for tag in systems(platform.machine())]
    where = ["--target", str(top), "--cache-dir", str(cache), "--report", str(report)]
    done = installing.run(
        [sys.executable, "-m", "pip", "install", *fixed, *quiet, *fitting, *where, "-r", LOCK],
        f"pip install for {release.version}",
        place,
        {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")},
    )
    if done.exit != 0:
        raise _failure(release, python, done)
    (place / "code" / NOTE).write_bytes(canonical(_note(json.loads(report.read_bytes()), top)))
    _strip(top)


def _failure(release: Release, python: str, done: installing.Ended) -> BuildFailed | InvalidInput:
    version = release.version
    if found := DIFFERS.search(done.said):
        return HashWrong(
            f"{found['which']} of {version} is not the package that {python_lock.FILE_NAME} pins",
            hint="find out who changed it before you pin it anew",
            cause=done.tail,
        )
    if found := UNPINNED.search(done.said):
        return python_lock.LockUnfit(
            f"{python_lock.FILE_NAME} of {version} is not complete: it lacks {found['which']}",
            hint=python_lock.AGAIN,
        )
    if found := ABSENT.search(done.said):
        return WheelMissing(
            f"no wheel of {found['which']} fits Python {python} on {platform.machine()} with glibc"
            f" 2.{NEWEST_GLIBC}: it comes as source alone, or for other systems, or not at all",
            hint="pin a version that has one, or build one and offer it to pip (find-links)",
            cause=done.tail,
        )
    return BuildFailed(
        f"pip install for {version} failed with exit code {done.exit}",
        hint=f"{sys.executable} -m pip config list shows where pip looks; then run this again",
        cause=done.tail,
    )


def _note(report: dict[str, Any], top: Path) -> list[dict[str, str]]:
    """Return which wheels were taken, without where from."""
    known = {each.metadata["Name"]: each for each in _distributions(top)}
    taken = [
        {
            "name": each["metadata"]["name"],
            "version": each["metadata"]["version"],
            "license": _license(known[each["metadata"]["name"]]),
            "file": each["download_info"]["url"].rpartition("/")[2],
            "sha256": each["download_info"]["archive_info"]["hashes"]["sha256"],
        }
        for each in report["install"]
    ]
    return sorted(taken, key=lambda each: each["name"].lower())


def _license(package: importlib.metadata.Distribution) -> str:
    about = package.metadata.json
    said = str(about.get("license_expression") or about.get("license") or "")
    # some put its whole text there
    return said if "\n" not in said else ""


def _distributions(top: Path) -> Iterable[importlib.metadata.Distribution]:
    return importlib.metadata.distributions(path=[str(top)])


def _strip(top: Path) -> None:
    """Leave what the wheels hold: pip's own programs and notes differ by machine."""
    for record in top.glob("*.dist-info/RECORD"):
        # written after pip's programs, outside of what is imported
        lines = record.read_text(encoding="utf-8").splitlines(keepends=True)
        record.write_text("".join(line for line in lines if _is_wheels(line)), encoding="utf-8")


def _is_wheels(line: str) -> bool:
    path = line.partition(",")[0]
    return not path.startswith("..") and path.rpartition("/")[2] not in OF_PIP


def _scripts(place: Path) -> dict[str, str]:
    return {
        entry.name: entry.value
        for package in _distributions(place / "code" / programs.PACKAGES)
        for entry in package.entry_points.select(group="console_scripts")
    }


def _packages(place: Path) -> Iterator[Member]:
    top = place / "code" / programs.PACKAGES
    note = place / "code" / NOTE
    yield Member(f"code/{NOTE}", note)
    for directory, names, files in os.walk(top):
        here = top / directory
        left = {"__pycache__", "bin"} if here == top else {"__pycache__"}
        names[:] = sorted(name for name in names if name not in left)
        for name in sorted(set(files) - OF_PIP):
            path = (here / name).relative_to(place)
            yield Member(path.as_posix(), here / name, executable=is_executable(here / name))

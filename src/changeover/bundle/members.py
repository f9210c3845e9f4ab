"""The files that go into a bundle: an app's code, laid under a release's own code."""

from __future__ import annotations

import hashlib
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from changeover.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from changeover.release import App, Release

# what a developer's own tools leave beside the code
LEFT_BEHIND = frozenset({"node_modules", "__pycache__", ".venv", ".python", ".git"})


class CodeUnfit(InvalidInput):
    """Something among the code cannot go into a bundle."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a bundle.

    Args:
        path: Its path in the bundle.
        source: Its content, or the file that holds it.
        executable: Whether its mode is 0755; otherwise it is 0644.
    """

    path: str
    source: Path | bytes
    executable: bool = False

    @property
    def mode(self) -> int:
        """Return the mode it has on every host, whatever it is here."""
        return 0o755 if self.executable else 0o644

    def content(self) -> bytes:
        """Return the content."""
        return self.source if isinstance(self.source, bytes) else self.source.read_bytes()

    def sha256(self) -> str:
        """Return the digest of the content, in hexadecimal."""
        return hashlib.sha256(self.content()).hexdigest()


def code_members(app: App, release: Release) -> list[Member]:
    """Return the release's code below ``code/``, sorted.

    Each entry of ``code`` is taken from the app's directory; what the release's own directory has
    at the same path replaces it.

    Raises:
        CodeUnfit: A symbolic link or a special file stands among it.
    """
    found: dict[str, Member] = {}
    for top in (app.directory, release.directory):
        for entry in release.code:
            for path, file in files_in(top, entry):
                # read once: an edit during the build must not reach half of it
                content = file.read_bytes()
                found[path] = Member(f"code/{path}", content, executable=is_executable(file))
    return [found[path] for path in sorted(found)]


def migration_members(release: Release) -> list[Member]:
    """Return the release's migrations below ``migrations/``, sorted."""
    return [
        Member(path, file.read_bytes())
        for path, file in sorted(files_in(release.directory, "migrations"))
    ]


def is_executable(file: Path) -> bool:
    """Tell whether the file's owner may run it."""
    return bool(file.stat().st_mode & stat.S_IXUSR)


def files_in(top: Path, entry: str) -> Iterator[tuple[str, Path]]:
    """Yield ``(path from top, file)`` of a file or of all files in a directory; absent is none."""
    place = top
    for part in entry.split("/"):
        place /= part
        # a folder on the way may be a link, too, and leads out as well
        if place.is_symlink():
            raise _unfit(place)
    if place.is_dir():
        for inner in sorted(place.iterdir()):
            if inner.name not in LEFT_BEHIND:
                yield from files_in(top, f"{entry}/{inner.name}")
    elif place.is_file():
        yield entry, place
    elif place.exists():
        raise _unfit(place)


def _unfit(place: Path) -> CodeUnfit:
    return CodeUnfit(
        f"{place} is neither a file nor a directory; a bundle holds nothing else",
        hint=f"replace {place} by the file itself",
    )

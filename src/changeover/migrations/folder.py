"""Read a release's migration folder into records; whatever is not understood is an error."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from changeover.errors import InvalidInput
from changeover.migrations import statements
from changeover.migrations.batches import batch_of
from changeover.migrations.records import PHASES, Migration, MigrationFolder, Phase, Statement

if TYPE_CHECKING:
    from pathlib import Path

FILE_NAME = re.compile(
    r"(?P<number>\d{3})_(?P<name>[a-z0-9][a-z0-9_]*)(?:\.(?P<role>verify|revert))?\.sql"
)


class MigrationFolderInvalid(InvalidInput):
    """A file or folder among the migrations breaks the naming rules."""


class VerifyNotAQuery(InvalidInput):
    """A verify file holds something other than SELECT."""


def load(path: Path, release: str) -> MigrationFolder:
    """Read ``path`` (``{expand,backfill,contract}/NNN_name.sql``); a missing folder is empty.

    Raises:
        MigrationFolderInvalid: A name is not understood, doubled, missing or without its migration.
        SqlUnreadable: A file is not SQL.
        StatementRefused: A statement has no place in a migration.
    """
    found: list[Migration] = []
    if path.exists():
        for entry in sorted(path.iterdir()):
            if entry.name not in PHASES or not entry.is_dir():
                raise MigrationFolderInvalid(
                    f"{entry} is not understood among the migrations of {release}",
                    hint=f"keep only the folders {', '.join(PHASES)} in {path}",
                )
        for phase in PHASES:
            found += _load_phase(path / phase, release, phase)
    return MigrationFolder(release=release, path=path, migrations=tuple(found))


def load_file(path: Path, release: str, phase: Phase) -> Migration:
    """Read one migration file with its verify and revert files beside it.

    Raises:
        MigrationFolderInvalid: The file's name is not ``NNN_name.sql``.
    """
    parts = FILE_NAME.fullmatch(path.name)
    if parts is None or parts["role"]:
        raise _not_understood(path)
    content = _read(path)
    found = _statements(path, content)
    batch = batch_of(content, path)
    if batch and phase != "backfill":
        raise MigrationFolderInvalid(
            f"{path} runs in batches outside the backfill phase", hint="move it to backfill/"
        )
    return Migration(
        release=release,
        phase=phase,
        number=int(parts["number"]),
        name=parts["name"],
        path=path,
        checksum=hashlib.sha256(content.encode()).hexdigest(),
        statements=found,
        verify=_verify(path.with_suffix(".verify.sql")),
        revert=_revert(path.with_suffix(".revert.sql")),
        batch=batch,
    )


def _load_phase(folder: Path, release: str, phase: Phase) -> list[Migration]:
    if not folder.exists():
        return []
    main: dict[int, Path] = {}
    companions: list[Path] = []
    for path in sorted(folder.iterdir()):
        parts = FILE_NAME.fullmatch(path.name)
        if parts is None or not path.is_file():
            raise _not_understood(path)
        if parts["role"]:
            companions.append(path)
            continue
        number = int(parts["number"])
        if number in main:
            raise MigrationFolderInvalid(
                f"{path} has the number of {main[number]}",
                hint="give the later one the next free number",
            )
        main[number] = path
    _check_order(main, folder)
    for path in companions:
        owner = path.with_name(path.name.rsplit(".", 2)[0] + ".sql")
        if owner not in main.values():
            raise MigrationFolderInvalid(
                f"{path} belongs to no migration: {owner.name} is missing",
                hint="name it after its migration",
            )
    return [load_file(main[number], release, phase) for number in sorted(main)]


def _check_order(main: dict[int, Path], folder: Path) -> None:
    for expected, number in enumerate(sorted(main), start=1):
        if number != expected:
            raise MigrationFolderInvalid(
                f"{main[number]} comes where number {expected:03d} is missing in {folder}",
                hint="number a phase's migrations 001, 002, 003 without a gap",
            )


def _not_understood(path: Path) -> MigrationFolderInvalid:
    return MigrationFolderInvalid(
        f"{path} is not understood as a migration",
        hint="name it NNN_name.sql, NNN_name.verify.sql or NNN_name.revert.sql, in lower case",
    )


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise MigrationFolderInvalid(
            f"{path} is not UTF-8", hint="save it as UTF-8", cause=str(error)
        ) from error


def _statements(path: Path, content: str) -> tuple[Statement, ...]:
    found = statements.read(content, path)
    if not found:
        raise MigrationFolderInvalid(f"{path} holds no statement", hint="write it or remove it")
    return found


def _verify(path: Path) -> tuple[Statement, ...]:
    if not path.exists():
        return ()
    found = _statements(path, _read(path))
    for statement in found:
        if statement.effect.kind != "SELECT":
            raise VerifyNotAQuery(
                f"{path}:{statement.line} is {statement.effect.kind}, not a query",
                hint="a verify file holds SELECTs whose every row begins with true",
            )
    return found


def _revert(path: Path) -> tuple[Statement, ...]:
    return _statements(path, _read(path)) if path.exists() else ()

"""Read a release's migration folder into records; whatever is not understood is an error."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from typing import TYPE_CHECKING

from changeover.errors import InvalidInput
from changeover.migrations import coexist_file, statements
from changeover.migrations.batches import batch_of
from changeover.migrations.records import PHASES, Migration, MigrationFolder, Phase, Statement

if TYPE_CHECKING:
    from pathlib import Path

    from changeover.migrations.checks import Checks

FILE_NAME = re.compile(
    r"(?P<number>\d{3})_(?P<name>[a-z0-9][a-z0-9_]*)(?:\.(?P<role>verify|revert|coexist)\.sql|\.(?P<checks>checks)\.yml|\.sql)"
)

DOWN = re.compile(
    r"^--\s*(?:migrate:down|\+goose\s+down|\+migrate\s+down)\b", re.MULTILINE | re.IGNORECASE
)


class MigrationFolderInvalid(InvalidInput):
    """A file or folder among the migrations breaks the naming rules."""


class ChecksNeedOneTransaction(InvalidInput):
    """A check compares with what was there before, and the migration commits in between."""


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
    """Read one migration file with its verify, checks, revert and coexist files beside it.

    Raises:
        MigrationFolderInvalid: The file's name is not ``NNN_name.sql``.
        ChecksNeedOneTransaction: Its checks compare before and after, and it is no one transaction.
        NotOfTheOldVersion: Its coexist file holds what no old version runs.
    """
    parts = FILE_NAME.fullmatch(path.name)
    if parts is None or parts["role"] or parts["checks"]:
        raise _not_understood(path)
    content = _read(path)
    checks_path = path.with_suffix(".checks.yml")
    declared = _read(checks_path) if checks_path.exists() else None
    bare = _bare(path, content, release, phase)
    migration = dataclasses.replace(
        bare,
        number=int(parts["number"]),
        name=parts["name"],
        checksum=_digest(content + (declared or "")),
        verify=_verify(path.with_suffix(".verify.sql")),
        revert=_revert(path.with_suffix(".revert.sql")),
        checks=None if declared is None else _checks(checks_path, declared),
        sql_checksum=_digest(content) if declared else "",
        coexist=_coexist(path.with_suffix(coexist_file.SUFFIX), phase),
    )
    _check_one_transaction(migration)
    return migration


def named_as_ours(path: Path) -> bool:
    """Tell whether a file has the name of a migration, or of what belongs to one."""
    return FILE_NAME.fullmatch(path.name) is not None


def main_file(path: Path) -> Path:
    """Return the migration that a verify, checks, revert or coexist file belongs to; any other file as it is."""
    parts = FILE_NAME.fullmatch(path.name)
    if parts is None or not (parts["role"] or parts["checks"]):
        return path
    return path.with_name(f"{parts['number']}_{parts['name']}.sql")


def load_other(path: Path, release: str, phase: Phase) -> Migration:
    """Read an SQL file of any name, which nothing belongs to: to be judged, not to be run.

    What undoes it in the same file, as dbmate, goose and sql-migrate have it, is left out.

    Raises:
        SqlUnreadable: It is not SQL.
        StatementRefused: A statement has no place in a migration.
    """
    return _bare(path, DOWN.split(_read(path))[0], release, phase)


def _bare(path: Path, content: str, release: str, phase: Phase) -> Migration:
    found = _statements(path, content)
    batch = batch_of(content, path)
    if batch and phase != "backfill":
        raise MigrationFolderInvalid(
            f"{path} runs in batches outside the backfill phase", hint="move it to backfill/"
        )
    return Migration(
        release=release,
        phase=phase,
        number=0,
        name=path.stem,
        path=path,
        checksum=_digest(content),
        statements=found,
        verify=(),
        revert=(),
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
        if parts["role"] or parts["checks"]:
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
        hint="name it NNN_name.sql, NNN_name.verify.sql, NNN_name.checks.yml, NNN_name.revert.sql or"
        " NNN_name.coexist.sql, in lower case",
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


def _coexist(path: Path, phase: Phase) -> tuple[Statement, ...]:
    if not path.exists():
        return ()
    if phase == "contract":
        raise MigrationFolderInvalid(
            f"{path} lies in contract, which takes away what the old version needs",
            hint="remove it: the old version lives with what comes before contract alone",
        )
    return coexist_file.read(_read(path), path)


def _checks(path: Path, text: str) -> Checks:
    from changeover.migrations import checks_file  # noqa: PLC0415 - most migrations have none

    return checks_file.read(text, path)


def _check_one_transaction(migration: Migration) -> None:
    if migration.checks is None or migration.transactional:
        return
    for check in migration.checks.compared:
        alone = migration.alone
        why = f"{alone.effect.kind} in line {alone.line} runs alone" if alone else "it has batches"
        raise ChecksNeedOneTransaction(
            f"{migration.checks.where(check)}: {check}: before and after cannot be compared, since"
            f" {migration.path.name} is not one transaction ({why}), and others write in between",
            hint="say what holds at its end: orphans, not_null, sequences, or a query of invariants"
            " alone",
        )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

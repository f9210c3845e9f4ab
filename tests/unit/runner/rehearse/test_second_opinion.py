"""What squawk says, weighed: the program itself is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from changeover.executors.migrate import Measured, Met, StatementPreview, TargetPreview
from changeover.migrations.folder import load
from changeover.runner.rehearse import second_opinion

if TYPE_CHECKING:
    from pathlib import Path

    from changeover.migrations.records import Migration

SMALL, LARGE, DROP = (
    "1.0.0/expand/001_small",
    "1.0.0/expand/002_large",
    "1.0.0/contract/001_drop",
)
FILES = {
    "expand/001_small.sql": "SELECT 1;\nALTER TABLE kinds ALTER COLUMN age TYPE bigint",
    "expand/002_large.sql": "ALTER TABLE users\n  ALTER COLUMN age TYPE bigint,\n  ADD COLUMN a int",
    "contract/001_drop.sql": "ALTER TABLE users DROP COLUMN name",
}


@pytest.fixture
def migrations(tmp_path: Path) -> tuple[Migration, ...]:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return load(tmp_path, "1.0.0").migrations


def measured(migration: str, number: int, rows: int, held: float) -> Measured:
    lock = Met(
        table="users" if migration == LARGE else "kinds",
        mode="ACCESS EXCLUSIVE",
        rows=rows,
        size_bytes=8192,
        who_waits="readers and writers wait",
    )
    return Measured(
        migration=migration,
        number=number,
        digest="",
        milliseconds=held,
        held_milliseconds=held,
        locks=(lock,),
        rewritten=(),
        deployment="one",
    )


def test_what_hurts_here_stands_first_and_what_does_not_is_a_note(
    migrations: tuple[Migration, ...],
) -> None:
    known = {
        (SMALL, 2): measured(SMALL, 2, rows=10, held=2),
        (LARGE, 1): measured(LARGE, 1, rows=50_000, held=812),
    }

    said = second_opinion.opinion(migrations, known)

    assert [line.partition("; squawk: ")[0] for line in said] == [
        f"warning: {LARGE}:2 ALTER TABLE: ACCESS EXCLUSIVE on users (50000 rows) for 812 ms",
        f"note: {SMALL}:2 ALTER TABLE: ACCESS EXCLUSIVE on kinds (10 rows) for 2 ms",
        f"note: {LARGE}:3 ALTER TABLE: ACCESS EXCLUSIVE on users (50000 rows) for 812 ms",
    ]
    assert [line.rpartition(" ")[2] for line in said] == [
        "[changing-column-type]",
        "[changing-column-type]",
        "[prefer-bigint-over-int]",
    ]


@pytest.mark.parametrize(("rows", "weight"), [(250_000, "warning"), (250, "note")])
def test_what_was_not_measured_is_weighed_by_what_it_meets(
    migrations: tuple[Migration, ...], rows: int, weight: str
) -> None:
    target = TargetPreview(
        table="users",
        lock="ACCESS EXCLUSIVE",
        who_waits="readers and writers wait",
        exists=True,
        rows=rows,
        size_bytes=1_000_000,
    )
    preview = StatementPreview(
        migration=LARGE,
        number=1,
        line=1,
        kind="ALTER TABLE",
        sql="",
        transactional=True,
        rewrites=True,
        scans=False,
        opaque=False,
        targets=(target,),
    )

    said, _ = second_opinion.opinion([migrations[1]], {}, [preview])

    assert said.startswith(
        f"{weight}: {LARGE}:2 ALTER TABLE: ACCESS EXCLUSIVE on users (about {rows} rows, 1.0 MB),"
    )


def test_a_program_that_is_not_there_is_told_and_stops_nothing(
    migrations: tuple[Migration, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))

    (said,) = second_opinion.opinion(migrations, {})

    assert said.startswith("note: squawk cannot be asked: ")

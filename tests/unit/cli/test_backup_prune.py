"""`backup prune` asks before rows go, and says which."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from changeover.cli import backup
from changeover.cli.confirm import NotConfirmed
from changeover.executors.backup import BesideDue, Due, Pruned, Unfinished
from changeover.runner.backups import by_hand

if TYPE_CHECKING:
    from collections.abc import Sequence

KEPT = BesideDue(
    name="shop_failed_20260101000000",
    kind="failed",
    bytes=48_200_000,
    rows_lost=3,
    lost={"public.orders": {"rows_before": 12, "rows_after": 9, "lost": 3}},
)
UNCOUNTED = BesideDue(
    name="shop_failed_20260102000000", kind="failed", bytes=1_000_000, rows_lost=None, lost={}
)


class Output:
    """What a user sees."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.told: list[dict[str, Any]] = []

    def note(self, text: str) -> None:
        self.said += text.splitlines()

    def data(self, record: dict[str, Any], text: str) -> None:
        self.told.append(record)
        self.said += text.splitlines()


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch) -> Output:
    seen = Output()
    desk = SimpleNamespace(environment=SimpleNamespace(name="demo"), output=seen)
    monkeypatch.setattr(backup, "open_desk", lambda *_, **__: desk)
    monkeypatch.setattr(backup, "context_of", lambda _: None)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    return seen


@pytest.fixture
def removed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    gone: list[str] = []

    def retain(_: object, __: int, agreed: Sequence[str]) -> Pruned:
        gone.extend(agreed)
        return Pruned(backups=tuple(agreed[:1]), databases=tuple(agreed[1:]))

    due = Due(backups=("20260115T101500-3fa2c1",), databases=(KEPT, UNCOUNTED))
    monkeypatch.setattr(by_hand, "due", lambda *_: due)
    monkeypatch.setattr(by_hand, "retain", retain)
    return gone


def test_nothing_goes_without_a_yes_and_the_rows_are_told_before(
    output: Output, removed: list[str]
) -> None:
    with pytest.raises(NotConfirmed):
        backup.prune(keep=1)

    assert removed == []
    assert output.said == [
        "what goes, and does not come back:",
        "  20260115T101500-3fa2c1  the backup",
        "  shop_failed_20260101000000  48.2 MB  kept by a restore: was live before it",
        "    3 rows that the live database does not have",
        "    public.orders: 3 rows",
        "  shop_failed_20260102000000  1.0 MB  kept by a restore: was live before it",
        "    its rows cannot be counted",
    ]


def test_what_was_shown_and_no_more_is_agreed_to(output: Output, removed: list[str]) -> None:
    backup.prune(keep=1, yes=True)

    assert removed == ["20260115T101500-3fa2c1", KEPT.name, UNCOUNTED.name]
    assert output.said[-1].startswith("removed: 20260115T101500-3fa2c1, ")


def test_where_nothing_is_due_nobody_is_asked(
    output: Output, removed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(by_hand, "due", lambda *_: Due(backups=(), databases=()))

    backup.prune(keep=1)

    assert removed == []
    assert output.told == [{"type": "pruned", "backups": [], "databases": []}]


def test_a_restore_that_is_not_finished_is_told_where_nothing_goes_for_it(
    output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_off = Unfinished(backup="b1", at="2026-03-01T03:00:00Z", deployment="d", live=True)
    due = Due(backups=(), databases=(), unfinished=cut_off)
    monkeypatch.setattr(by_hand, "due", lambda *_: due)

    backup.prune(keep=1)

    words = (
        "a restore to b1 that d began at 2026-03-01T03:00:00Z was cut off after b1 had become live:"
        " changeover backup restore b1 --env demo counts what it left behind, and exchanges nothing"
        " again"
    )
    assert output.said == [words, "nothing to remove"]

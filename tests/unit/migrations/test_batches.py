"""The batch comment: what it may say, and what is refused with the sentence that helps."""

from __future__ import annotations

from pathlib import Path

import pytest

from changeover.migrations.batches import BatchInvalid, batch_of
from changeover.migrations.records import Batch, Relation

PATH = Path("001_a.sql")
STATEMENT = "\nUPDATE users SET age = 1 WHERE id BETWEEN $1 AND $2"
NEEDED = "-- changeover: batch table=users key=id"


def test_what_is_not_declared_has_a_default() -> None:
    declared = batch_of(NEEDED + STATEMENT, PATH)

    users = Relation(name="users")
    assert declared == Batch(
        table=users, key="id", size=5000, target_seconds=0.1, lag_seconds=10, dead_rows=None
    )


def test_every_bound_can_be_declared() -> None:
    comment = f"{NEEDED} lag=30s size=200 dead=0 target=250ms"

    declared = batch_of(comment + STATEMENT, PATH)

    assert declared is not None
    assert (declared.size, declared.target_seconds) == (200, 0.25)
    assert (declared.lag_seconds, declared.dead_rows) == (30, 0)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("target=100", "target is a time from 10ms to 10s, such as 100ms"),
        ("target=0.1s", "target is a time"),
        ("target=9ms", "target is a time"),
        ("target=11s", "target is a time"),
        ("target=-5s", "target is a time"),
        ("lag=999ms", "lag is a time from 1000ms to 3600s"),
        ("lag=1h", "lag is a time"),
        ("size=0", "size is a number from 1 on"),
        ("size=\u0661", "size is a number"),
        ("dead=-1", "dead is a number from 0 on"),
        ("dead=", "not understood: -- changeover"),
        ("size=5 size=6", "not understood: -- changeover"),
        ("sizes=5", "not understood: -- changeover"),
    ],
)
def test_what_is_not_usable_is_refused(words: str, says: str) -> None:
    with pytest.raises(BatchInvalid) as caught:
        batch_of(f"{NEEDED} {words}{STATEMENT}", PATH)

    assert says in caught.value.message
    assert caught.value.exit_code == 2
    assert "target=100ms" in caught.value.hint

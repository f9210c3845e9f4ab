"""What the old version was given, compared with what it was given before."""

from __future__ import annotations

from changeover.executors.migrate.old_version import Did


def test_columns_of_one_name_are_compared_each_with_its_own() -> None:
    before = Did(1, ("count", "count"), (("6001", "1"),))

    assert before.same(Did(1, ("count", "count"), (("6001", "1"),)))
    assert before.same(Did(1, ("new", "count", "count"), (("7", "6001", "1"),)))
    assert not before.same(Did(1, ("count", "count"), (("6001", "2"),)))
    assert not before.same(Did(1, ("count",), (("6001",),)))

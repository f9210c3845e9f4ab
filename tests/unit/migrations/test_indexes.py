from __future__ import annotations

import pytest

from changeover.migrations.indexes import build_of, same_definition


def test_a_build_is_taken_apart_and_aimed_elsewhere() -> None:
    build = build_of('CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS "A b" ON app.users (lower(x))')

    assert (build.name, build.table.dotted) == ("A b", "app.users")
    moved = build.on_schema("scratch")
    assert moved == 'CREATE UNIQUE INDEX "A b" ON scratch.users USING btree (lower(x))'


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ("CREATE INDEX j ON elsewhere.t USING btree (a)", True),
        ("CREATE INDEX j ON t USING btree   ( a )", True),
        ("CREATE UNIQUE INDEX i ON t USING btree (a)", False),
        ("CREATE INDEX i ON t USING hash (a)", False),
        ("CREATE INDEX i ON t USING btree (a DESC)", False),
        ("CREATE INDEX i ON t USING btree (a, b)", False),
        ("CREATE INDEX i ON t USING btree (a) INCLUDE (b)", False),
        ("CREATE INDEX i ON t USING btree (a) WHERE (a > 0)", False),
        ("CREATE INDEX i ON t USING btree (a) WITH (fillfactor='70')", False),
    ],
)
def test_definitions_differ_in_more_than_names(other: str, *, same: bool) -> None:
    assert same_definition("CREATE INDEX i ON public.t USING btree (a)", other) == same

"""What two databases differ by, as a person reads it."""

from __future__ import annotations

import pytest

from changeover.executors.backup.difference import Difference

HEADING = ("---", "--- Name: notes; Type: TABLE; Schema: public; Owner: shop_owner", "---", "-")


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        (
            (
                "@@ -1,2 +1,9 @@",
                " --",
                *HEADING,
                "-CREATE TABLE public.notes (",
                "--- a remark",
                "-);",
                "-",
            ),
            ["@@ -1,2 +1,9 @@", "-CREATE TABLE public.notes (", "--- a remark", "-);"],
        ),
        (("@@ -1 +1 @@", *HEADING), ["@@ -1 +1 @@", *HEADING]),
    ],
)
def test_headings_of_the_dump_are_left_out_unless_nothing_else_is_left(
    schema: tuple[str, ...], told: list[str]
) -> None:
    found = Difference(
        kept="shop_failed",
        kind="failed",
        live="shop",
        tables=(),
        equal=1,
        sequences={},
        schema=schema,
        schema_lines=len(schema),
    )

    words = found.words().splitlines()

    place = words.index("  the definitions differ (- as kept, + as live):")
    assert [line.removeprefix("    ") for line in words[place + 1 :]] == told


def test_a_sequence_that_stands_elsewhere_is_a_difference_of_its_own() -> None:
    answer = {"kept": "shop_failed", "kind": "failed", "live": "shop", "tables": {}, "equal": 1}
    positions = {"public.users_id_seq": {"kept": 2001, "live": None}}

    found = Difference.read(answer | {"sequences": positions, "schema": [], "schema_lines": 0})

    assert not found.same
    assert (
        "  sequence public.users_id_seq: last value 2001 in the kept one, none in the live one"
        in found.words().splitlines()
    )

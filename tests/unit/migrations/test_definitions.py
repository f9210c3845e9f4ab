from __future__ import annotations

from changeover.migrations import definitions

BEFORE = """CREATE TABLE public.users (
    id uuid NOT NULL,
    token text,
    email text NOT NULL
);
CREATE TABLE public.log (
    line text
);
"""
MOVED = BEFORE.replace("    token text,\n", "").replace(
    "    email text NOT NULL\n", "    email text NOT NULL,\n    token text\n"
)


def test_a_column_that_was_added_again_makes_no_other_schema_and_is_told() -> None:
    assert definitions.difference(BEFORE, MOVED, 40) == ""
    assert definitions.reordered(BEFORE, MOVED) == ("public.users",)
    assert definitions.reordered(BEFORE, BEFORE) == ()


def test_a_column_that_is_another_one_is_shown() -> None:
    wrong = MOVED.replace("    token text\n", "    token integer\n")

    shown = definitions.difference(BEFORE, wrong, 40).splitlines()

    assert [line for line in shown if line[0] in "+-"][2:] == [
        "-    token text",
        "+    token integer",
    ]
    assert definitions.reordered(BEFORE, wrong) == ()

from __future__ import annotations

import re
from pathlib import Path

import pytest

import changeover
from changeover.counts import counted

PACKAGE = Path(changeover.__file__).parent


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "0 retries"), (1, "1 retry"), (2, "2 retries")],
)
def test_a_noun_agrees_with_its_number(number: int, words: str) -> None:
    assert counted(number, "retry", "retries") == words


def test_most_nouns_take_an_s() -> None:
    assert [counted(number, "host") for number in (0, 1, 12)] == ["0 hosts", "1 host", "12 hosts"]


def test_no_sentence_of_the_program_counts_without_it() -> None:
    nouns = "checks|errors|events|files|findings|hosts|migrations|packages|reloads|rows|sessions"
    bare = re.compile(
        rf"(?<!of )(?<!of about )\{{[^{{}}]+\}} (?:{nouns}|statements|steps|tables)\b"
    )
    sources = [path for path in PACKAGE.rglob("*.py") if "agent" not in path.parts]
    found = [
        f"{path.name}: {line.strip()}"
        for path in sources
        for line in path.read_text().splitlines()
        if bare.search(line)
    ]

    assert len(sources) > 100
    assert found == []

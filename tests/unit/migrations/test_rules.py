"""The catalogue of rules is what the lint finds, and what its page lists."""

from __future__ import annotations

import re
from pathlib import Path

from changeover import migrations
from changeover.migrations.rules import RULES

ROOT = Path(__file__).parents[3]
SOURCES = Path(migrations.__file__).parent
NAMED = re.compile(r'(?:rule=|\("|\*\(")(?P<plain>[a-z]+(?:-[a-z]+)+)"|rule="(?P<keyword>[a-z-]+)"')


def test_every_rule_that_is_found_is_in_the_catalogue_once() -> None:
    written = {
        found["plain"] or found["keyword"]
        for name in ("hazards.py", "statement_hazards.py")
        for found in NAMED.finditer((SOURCES / name).read_text())
    }

    assert sorted(rule.name for rule in RULES) == sorted(written)


def test_the_page_lists_each_rule_with_its_severity() -> None:
    page = (ROOT / "docs/migrations.md").read_text().partition("## Lint")[2]
    listed = {
        name: severity
        for names, severity in re.findall(r"^\| (`[^|]+`) \| ([a-z ]+) \|", page, re.MULTILINE)
        for name in re.findall(r"`([a-z-]+)`", names)
    }

    assert set(listed) == {rule.name for rule in RULES}
    assert all(listed[rule.name].split()[0] == rule.severity for rule in RULES)

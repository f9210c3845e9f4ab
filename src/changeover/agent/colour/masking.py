"""What an app or its environment says, free of the values it was given.

It goes into journals, reports and terminals; an app that prints its settings when it fails must not
carry a password there. Text is masked whole and cut afterwards: half a password is one, too.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from changeover.agent.colour import environment_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

SHORTEST_MASKED = 6
SHOWN = 2000


def mask(path: Path, text: str, longest: int | None = None) -> str:
    """Return ``text`` with the environment's values replaced by their names, then cut.

    Where the values cannot be told, nothing of the text is shown.

    Args:
        path: The colour's environment file.
        text: What was said, whole.
        longest: How many characters of the masked text to keep.
    """
    if not text:
        return text
    try:
        values = environment_file.read(path)
    except (OSError, ValueError) as error:
        return f"(withheld: the values to mask are not known: {error})"
    return Masked(values)(text)[:longest]


class Masked:
    """Takes these values out of text, again and again."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._forms = sorted(_forms(values), key=lambda pair: (-len(pair[0]), pair))

    def __call__(self, text: str) -> str:
        """Return ``text`` with the values replaced by their names."""
        for form, name in self._forms:
            text = text.replace(form, f"[{name}]")
        return text


def _forms(values: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        plain = {value, *value.splitlines(), *_passwords(value)}
        plain |= {form.strip() for form in plain}
        for form in plain | {other for one in plain for other in _written(one)}:
            if len(form) >= SHORTEST_MASKED:
                yield form, name


def _passwords(value: str) -> set[str]:
    """Return the password of a URL, as it is there and as it is meant."""
    try:
        password = urlsplit(value).password or ""
    except ValueError:
        return set()
    return {password, unquote(password)}


def _written(value: str) -> set[str]:
    """Return a value as JSON and URLs write it."""
    return {
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        quote(value, safe=""),
    }

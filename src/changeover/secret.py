"""A value that prints as redacted, and the sink that takes secrets out of text."""

from __future__ import annotations

import base64
import json
import urllib.parse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

REDACTED = "[REDACTED]"
SHORTEST_MASKED = 4
SHORTEST_LINE_MASKED = 8


def in_texts(value: Any, redact: Callable[[str], str]) -> Any:  # noqa: ANN401 - JSON data
    """Return JSON data with each text in it redacted; numbers, flags and names of fields stay.

    A secret may be written like any of those (``true``, ``5432``): data that is redacted once it
    is one text would be JSON no more. A field ``type`` holds a word of ours and stays, too.
    """
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {
            key: inner if key == "type" else in_texts(inner, redact) for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [in_texts(inner, redact) for inner in value]
    return value


class Secret:
    """A secret string: it shows itself only where ``reveal()`` is written out."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the secret itself."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({REDACTED})"

    def __str__(self) -> str:
        return REDACTED

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


class Redactor:
    """Replaces known secrets in text: plain, base64, URL-quoted, JSON-escaped and as ``repr`` shows.

    Of a secret of several lines each longer line is one, too: others may print it line by line.
    Values shorter than four characters are left alone: masking them would blank half of any text.
    """

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        self._forms: set[str] = set()
        for secret in secrets:
            self.add(secret)

    def add(self, secret: Secret) -> None:
        """Redact this secret, too, from now on."""
        value = secret.reveal()
        if len(value) < SHORTEST_MASKED:
            return
        forms = _forms(value)
        for line in value.splitlines():
            if len(line.strip()) >= SHORTEST_LINE_MASKED:
                forms |= _forms(line.strip())
        # Another thread may be going through the ones of before.
        self._forms = self._forms | forms

    def __call__(self, text: str) -> str:
        """Return ``text`` with every form of every known secret replaced."""
        for form in sorted(self._forms, key=len, reverse=True):
            text = text.replace(form, REDACTED)
        return text


def _forms(value: str) -> set[str]:
    """Return a secret as it stands in text, and as others write it."""
    encoded = value.encode()
    # which quotes are escaped depends on the text around it
    shown = repr(f'{value}"')[1:-2]
    return {
        value,
        urllib.parse.quote(value, safe=""),
        urllib.parse.quote_plus(value),
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        repr(value)[1:-1],
        shown,
        shown.replace("\\'", "'"),
        base64.b64encode(encoded).decode(),
        base64.urlsafe_b64encode(encoded).decode(),
    }

"""The environment variables that a release declares."""

from __future__ import annotations

import math
import re
import urllib.parse
from typing import Annotated, Literal

from pydantic import Field, model_validator

from changeover.release.figures import Declared, written

VariableName = Annotated[
    str, written(r"[A-Z_][A-Z0-9_]*", "a name of capital letters, digits and _")
]
Kind = Literal["string", "integer", "number", "boolean", "url", "duration"]
Source = Literal["database", "cache", "public_url"]
Scalar = str | bool | int | float

# systemd drops a variable whose value has one of these, and says nothing
DROPPED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_KINDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "url": "a URL such as https://name/path",
    "duration": "a duration such as 30s, 5m or 1h",
}


class Variable(Declared):
    """One variable: its type, its bounds, and where its value comes from.

    Without ``required``, ``default`` or ``from`` it is optional: the unit gets it only where the
    environment sets it.
    """

    type: Kind = "string"
    summary: str = ""
    secret: bool = False
    required: bool = False
    default: Scalar | None = None
    minimum: int | float | None = None
    maximum: int | float | None = None
    min_length: Annotated[int, Field(ge=1)] | None = None
    choices: tuple[Scalar, ...] = ()
    source: Source | None = Field(default=None, alias="from")

    @model_validator(mode="after")
    def _consistent(self) -> Variable:
        if self.secret and self.default is not None:
            raise ValueError("a secret has no default: it would be the same everywhere")
        if self.required and self.default is not None:
            raise ValueError("with a default it is never missing: drop required or default")
        bounded = self.minimum is not None or self.maximum is not None
        if bounded and self.type not in ("integer", "number"):
            raise ValueError(f"minimum and maximum are for numbers, and this is a {self.type}")
        if self.min_length is not None and self.type not in ("string", "url"):
            raise ValueError(f"min_length is for text, and this is a {self.type}")
        for value in self.choices:
            if problem := self._typed(value)[1]:
                raise ValueError(f"choice {value!r} {problem}")
        if self.default is not None and (problem := self.text_of(self.default)[1]):
            raise ValueError(f"default {self.default!r} {problem}")
        return self

    def text_of(self, value: object) -> tuple[str, str | None]:
        """Return a YAML value as the unit gets it, and what is wrong with it or ``None``.

        The problem never holds the value.
        """
        text, problem = self._typed(value)
        if problem is None and self.choices:
            allowed = [self._typed(choice)[0] for choice in self.choices]
            if text not in allowed:
                problem = f"is not one of {', '.join(allowed)}"
        return text, problem

    def _typed(self, value: object) -> tuple[str, str | None]:
        text = _as_text(value)
        if text is None or not _matches(self.type, value, text):
            quotes = self.type == "string" and isinstance(value, bool | int | float)
            return "", f"is not {_KINDS[self.type]}" + (": put it in quotes" if quotes else "")
        if not _readable(text):
            return "", "holds a control character other than tab and newline, or is not UTF-8"
        if self.min_length is not None and len(text) < self.min_length:
            return "", f"is shorter than {self.min_length} characters"
        if self.minimum is not None and float(text) < self.minimum:
            return "", f"is less than {self.minimum}"
        if self.maximum is not None and float(text) > self.maximum:
            return "", f"is more than {self.maximum}"
        return text, None


def _as_text(value: object) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return value if isinstance(value, str) else None


def _readable(text: str) -> bool:
    """Tell whether systemd takes the text from an environment file as it is."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return DROPPED.search(text) is None


def _matches(kind: Kind, value: object, text: str) -> bool:
    match kind:
        case "string":
            return isinstance(value, str)
        case "boolean":
            return text in ("true", "false")
        case "integer":
            return not isinstance(value, bool) and re.fullmatch(r"-?\d+", text) is not None
        case "number":
            return not isinstance(value, bool) and _finite(text)
        case "duration":
            return re.fullmatch(r"\d+(ms|s|m|h|d)", text) is not None
        case "url":
            return _is_url(text)


def _finite(text: str) -> bool:
    try:
        return math.isfinite(float(text)) and "_" not in text
    except ValueError:
        return False


def _is_url(text: str) -> bool:
    try:
        parts = urllib.parse.urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    return bool(parts.scheme and parts.hostname) and not re.search(r"\s", text)


class EnvironmentDeclaration(Declared):
    """The variables of a release, and what became of its predecessors' ones.

    ``renames`` maps old names to new ones; ``removed`` are names that are no longer read.
    """

    renames: dict[VariableName, VariableName] = Field(default_factory=dict)
    removed: tuple[VariableName, ...] = ()
    variables: dict[VariableName, Variable] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> EnvironmentDeclaration:
        for old, new in self.renames.items():
            if new not in self.variables:
                raise ValueError(f"renames: {new} is not among the variables")
            if old in self.variables:
                raise ValueError(f"renames: {old} is renamed and still among the variables")
        if kept := [name for name in self.removed if name in self.variables]:
            raise ValueError(f"removed: {kept[0]} is still among the variables")
        return self

"""Versions, sizes and names as releases write them, and how versions are ordered."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from changeover.duration import WRITTEN

# 1 GB is 10^9 bytes: a machine sold with 2 GB has a little less than 2 GiB left for its programs
UNITS = {"K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
BINARY_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


class Declared(BaseModel):
    """A frozen record that refuses keys it does not know and converts nothing."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
    )


def _quoted(value: object) -> object:
    # YAML reads 6.10 as the number 6.1
    if isinstance(value, float):
        raise ValueError("a version is text: put it in quotes")  # noqa: TRY004 - pydantic's own
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value


def written(pattern: str, description: str) -> AfterValidator:
    """Return a validator for text that fits a pattern, described in the error."""
    expression = re.compile(pattern)

    def check(value: str) -> str:
        if expression.fullmatch(value) is None:
            raise ValueError(f"must be {description}, and it is {value!r}")
        return value

    return AfterValidator(check)


def _printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError(f"must be printable text of one line, and it is {value!r}")
    return value


Version = Annotated[
    str,
    BeforeValidator(_quoted),
    written(r"\d+\.\d+\.\d+(-[0-9A-Za-z]+(\.[0-9A-Za-z]+)*)?", "a version such as 8.0.0"),
]
"""A release's version: ``8.0.0``, or ``8.1.0-rc.1``."""

MinimumVersion = Annotated[
    str,
    BeforeValidator(_quoted),
    written(r"\d+(\.\d+){0,3}", 'a version such as 18.0.0 or "6.0"'),
]
"""The version of a program to have at least: ``18.0.0``, ``"6.0"``, ``15``."""

Size = Annotated[str, written(r"\d+(\.\d+)? ?[KMGT]i?B", "a size such as 2GB")]
"""An amount of memory or disk: ``2GB`` is 2 * 10^9 bytes, ``2GiB`` is 2 * 2^30."""

Name = Annotated[
    str, written(r"[a-z][a-z0-9-]{0,31}", "a name of lower-case letters, digits and dashes")
]
"""The name of an app, process, socket or user."""

RelativePath = Annotated[
    str,
    written(r"(?!/)(?!.*(^|/)\.{1,2}(/|$))[^\0\n]*[^/\0\n]", "a path inside the app's directory"),
]
"""A path inside the app's directory, without ``..``."""

PrintableText = Annotated[str, AfterValidator(_printable)]
"""Text of one line: it gets into a unit file, where a line break would begin another setting."""

Duration = Annotated[str, written(WRITTEN, "a duration such as 5m")]
"""A span of time: ``90s``, ``5m``, ``24h``, ``2d``."""

UrlPath = Annotated[str, written(r"/[^\s;{}\"']*", "the path of a URL, from its slash on")]
"""The path of a URL."""


def version_order(version: str) -> tuple[tuple[int, ...], bool, tuple[tuple[bool, int, str], ...]]:
    """Return a key that sorts versions as Semantic Versioning does: 8.1.0-rc.1 before 8.1.0."""
    core, _, early = version.partition("-")
    numbers = tuple(int(part) for part in core.split("."))
    parts = tuple(
        (not part.isdigit(), int(part) if part.isdigit() else 0, part)
        for part in early.split(".")
        if part
    )
    return numbers, not early, parts


def size_bytes(size: str) -> int:
    """Return the bytes of a ``Size``."""
    match = re.fullmatch(r"([\d.]+) ?([KMGT])(i?)B", size)
    if match is None:
        raise ValueError(f"{size} is not a size such as 2GB")
    number, unit, binary = match.groups()
    return int(float(number) * (BINARY_UNITS if binary else UNITS)[unit])

"""The leading comment that makes a backfill file run in keyset batches.

``-- changeover: batch table=orders key=id size=5000 target=100ms`` before one statement that uses
``$1`` and ``$2``: the first and the last key of a batch, both included.
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

import postgast

from changeover.errors import InvalidInput
from changeover.migrations.records import Batch, Relation

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

DECLARATION = re.compile(r"--\s*changeover:\s*(?P<word>\S+)\s*(?P<pairs>.*)")
DEFAULT_SIZE = 5000  # 400,000 rows in batches of this size take no longer than in one UPDATE
TIMES = {"target": (0.01, 10.0), "lag": (1.0, 3600.0)}  # the least and the most, in seconds
NEEDED = {"table", "key"}
KEYS = NEEDED | {"size", "dead"} | TIMES.keys()
TIME = re.compile(r"(?P<count>[0-9]{1,7})(?P<unit>ms|s)")
NUMBER = re.compile(r"[0-9]{1,12}")


class BatchInvalid(InvalidInput):
    """A backfill's batch comment, or the statement under it, is not usable."""


def batch_of(text: str, path: Path) -> Batch | None:
    """Return the declared batch of a file's text, or None when it declares none.

    Raises:
        BatchInvalid: The comment is not understood or does not fit the statement.
    """
    declared = _declaration(text, path)
    uses = _parameters(text)
    if declared is None:
        if uses:
            raise _invalid(path, "uses $1 but has no `-- changeover: batch` comment at its top")
        return None
    if len(postgast.parse(text).stmts) != 1 or uses != {1, 2}:
        raise _invalid(path, "needs exactly one statement, using $1 and $2")
    return declared


def _declaration(text: str, path: Path) -> Batch | None:
    for line in text.splitlines():
        if line.strip() and not line.startswith("--"):
            return None
        if found := DECLARATION.fullmatch(line.rstrip()):
            break
    else:
        return None
    words = [word.partition("=")[::2] for word in found["pairs"].split()]
    pairs = dict(words)
    complete = NEEDED <= pairs.keys() <= KEYS and all(pairs.values()) and len(pairs) == len(words)
    if found["word"] != "batch" or not complete:
        raise _invalid(path, f"has a comment that is not understood: {line.strip()}")
    schema, _, name = pairs["table"].rpartition(".")
    batch = Batch(
        table=Relation(name=name, schema=schema),
        key=pairs["key"],
        size=_count(pairs, "size", 1, path) if "size" in pairs else DEFAULT_SIZE,
        dead_rows=_count(pairs, "dead", 0, path) if "dead" in pairs else None,
    )
    return dataclasses.replace(
        batch,
        target_seconds=_seconds(pairs, "target", batch.target_seconds, path),
        lag_seconds=_seconds(pairs, "lag", batch.lag_seconds, path),
    )


def _count(pairs: Mapping[str, str], name: str, least: int, path: Path) -> int:
    if not NUMBER.fullmatch(pairs[name]) or int(pairs[name]) < least:
        raise _invalid(
            path, f"has a comment that is not understood: {name} is a number from {least} on"
        )
    return int(pairs[name])


def _seconds(pairs: Mapping[str, str], name: str, default: float, path: Path) -> float:
    if name not in pairs:
        return default
    least, most = TIMES[name]
    found = TIME.fullmatch(pairs[name])
    seconds = int(found["count"]) / (1000 if found["unit"] == "ms" else 1) if found else 0.0
    if not least <= seconds <= most:
        raise _invalid(
            path,
            f"has a comment that is not understood: {name} is a time from {least * 1000:.0f}ms"
            f" to {most:.0f}s, such as {default * 1000:.0f}ms",
        )
    return seconds


def _parameters(text: str) -> set[int]:
    if "$" not in text:
        return set()
    return {
        node.number
        for _, node in postgast.walk(postgast.parse(text))
        if type(node).__name__ == "ParamRef"
    }


def _invalid(path: Path, fault: str) -> BatchInvalid:
    return BatchInvalid(
        f"{path} {fault}",
        hint="begin it with `-- changeover: batch table=NAME key=COLUMN size=5000 target=100ms` and"
        " write one statement with `WHERE COLUMN BETWEEN $1 AND $2`",
    )

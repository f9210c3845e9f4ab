"""The leading comment that makes a backfill file run in keyset batches.

``-- changeover: batch table=orders key=id size=5000`` before one statement that uses ``$1`` and
``$2``: the first and the last key of a batch, both included.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import postgast

from changeover.errors import InvalidInput
from changeover.migrations.records import Batch, Relation

if TYPE_CHECKING:
    from pathlib import Path

DECLARATION = re.compile(r"--\s*changeover:\s*(?P<word>\S+)\s*(?P<pairs>.*)")
DEFAULT_SIZE = 5000  # 400,000 rows in batches of this size take no longer than in one UPDATE
KEYS = {"table", "key", "size"}


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
    pairs = dict(word.partition("=")[::2] for word in found["pairs"].split())
    size = pairs.get("size", str(DEFAULT_SIZE))
    complete = {"table", "key"} <= pairs.keys() <= KEYS and all(pairs.values())
    if found["word"] != "batch" or not complete or not size.isdecimal() or int(size) < 1:
        raise _invalid(path, f"has a comment that is not understood: {line.strip()}")
    schema, _, name = pairs["table"].rpartition(".")
    return Batch(table=Relation(name=name, schema=schema), key=pairs["key"], size=int(size))


def _parameters(text: str) -> set[int]:
    return {
        node.number
        for _, node in postgast.walk(postgast.parse(text))
        if type(node).__name__ == "ParamRef"
    }


def _invalid(path: Path, fault: str) -> BatchInvalid:
    return BatchInvalid(
        f"{path} {fault}",
        hint="begin it with `-- changeover: batch table=NAME key=COLUMN size=5000` and write one"
        " statement with `WHERE COLUMN BETWEEN $1 AND $2`",
    )

"""A record on the disk as a value: what another version of the agent wrote has to be read, too."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

Value = TypeVar("Value")


def made(kind: type[Value], record: Mapping[str, Any]) -> Value:
    """Return a record as a value of a dataclass; fields that it does not know are passed over.

    A later agent may have written them. The way back has to work with what is understood of it.
    """
    known = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type] # a dataclass
    return kind(**{name: value for name, value in record.items() if name in known})

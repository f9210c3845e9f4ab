"""Read relation names out of PostgreSQL's syntax trees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.migrations.records import Relation

if TYPE_CHECKING:
    from postgast.pg_query_pb2 import Node, RangeVar


def relation(named: RangeVar) -> Relation:
    """Return the relation of a range variable."""
    return Relation(name=named.relname, schema=named.schemaname)


def dotted(node: Node) -> tuple[str, ...]:
    """Return the parts of a name held in a list node, such as ``("public", "users")``."""
    return tuple(item.string.sval for item in node.list.items)


def of_parts(parts: tuple[str, ...]) -> Relation:
    """Return the relation that the last two parts of a dotted name stand for."""
    return Relation(name=parts[-1], schema=parts[-2] if len(parts) > 1 else "")


def option(parameters: list[Node], name: str) -> bool:
    """Tell whether ``(name)`` or ``(name true)`` is among a statement's options."""
    for parameter in parameters:
        if parameter.def_elem.defname == name:
            value = parameter.def_elem.arg
            words = (value.string.sval, str(value.boolean.boolval), str(value.integer.ival))
            if not value.WhichOneof("node"):
                return True
            return any(word.lower() in {"true", "on", "1"} for word in words)
    return False

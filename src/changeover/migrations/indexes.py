"""Read a concurrent index statement, and compare index definitions as PostgreSQL prints them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import postgast

from changeover.migrations.names import relation

if TYPE_CHECKING:
    from postgast.pg_query_pb2 import IndexStmt

    from changeover.migrations.records import Relation


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class IndexBuild:
    """A CREATE INDEX statement taken apart.

    Args:
        name: The index.
        table: The table it is built on.
        sql: The statement itself.
    """

    name: str
    table: Relation
    sql: str

    def on_schema(self, schema: str) -> str:
        """Return the same definition, built plainly on a table of that name in ``schema``."""
        parsed = postgast.parse(self.sql)
        statement = parsed.stmts[0].stmt.index_stmt
        statement.concurrent = False
        statement.if_not_exists = False
        statement.relation.schemaname = schema
        return str(postgast.deparse(parsed))


def build_of(sql: str) -> IndexBuild:
    """Return what a CREATE INDEX statement builds."""
    statement = postgast.parse(sql).stmts[0].stmt.index_stmt
    return IndexBuild(name=statement.idxname, table=relation(statement.relation), sql=sql)


def same_definition(one: str, other: str) -> bool:
    """Tell whether two printed index definitions differ in the names of index and table alone."""
    return bool(_bare(one) == _bare(other))


def _bare(definition: str) -> IndexStmt:
    statement = postgast.parse(definition).stmts[0].stmt.index_stmt
    statement.idxname = ""
    statement.ClearField("relation")
    for _, node in postgast.walk(statement):
        if "location" in node.DESCRIPTOR.fields_by_name:
            node.ClearField("location")
    return statement

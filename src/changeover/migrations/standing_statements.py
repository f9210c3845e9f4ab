"""Follow migrations statement by statement: what each makes, renames and takes away. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import postgast
from postgast.pg_query_pb2 import DropBehavior, ObjectType

from changeover.migrations.alter_table import form_name
from changeover.migrations.names import dotted, of_parts, relation
from changeover.migrations.records import Relation
from changeover.migrations.standing import Kind, Made, Standing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from postgast.pg_query_pb2 import AlterTableCmd, Node, RangeVar

    from changeover.migrations.records import Migration, Statement

    Follow = Callable[[Standing, Node], None]

KINDS: dict[str, Kind] = {
    "TABLE": "table",
    "VIEW": "table",
    "MATVIEW": "table",
    "SEQUENCE": "table",
    "FOREIGN_TABLE": "table",
    "INDEX": "index",
    "TYPE": "type",
    "DOMAIN": "type",
    "FUNCTION": "function",
    "PROCEDURE": "function",
    "ROUTINE": "function",
    "SCHEMA": "schema",
    "EXTENSION": "extension",
}
PARTS: dict[str, Kind] = {
    "COLUMN": "column",
    "TABCONSTRAINT": "constraint",
    "TRIGGER": "trigger",
    "POLICY": "policy",
}
TEMPORARY = "t"


def standing(migrations: Iterable[Migration]) -> tuple[Made, ...]:
    """Return what stands after these migrations, in the order it was made."""
    found = Standing()
    for migration in migrations:
        found.begin(migration.id)
        for statement in migration.statements:
            _follow(found, statement)
    return found.made


def _follow(found: Standing, statement: Statement) -> None:
    node = postgast.parse(statement.sql).stmts[0].stmt
    kind = str(node.WhichOneof("node"))
    if statement.effect.opaque:
        found.doubt_all()
    if handler := HANDLERS.get(kind):
        handler(found, getattr(node, kind))


def _settings(found: Standing, tree: Node) -> None:
    if tree.name == "search_path":
        found.look_elsewhere()


def _table(found: Standing, tree: Node) -> None:
    own = relation(tree.relation)
    if tree.relation.relpersistence == TEMPORARY:
        return
    found.add("table", own)
    for element in tree.table_elts:
        if element.HasField("column_def"):
            found.add("column", own, element.column_def.colname)
            _constraints(found, own, element.column_def.constraints)
        elif element.HasField("constraint"):
            _constraints(found, own, [element])


def _constraints(found: Standing, own: Relation, items: Iterable[Node]) -> None:
    for item in items:
        constraint = item.constraint
        if not constraint.conname:
            continue
        found.add("constraint", own, constraint.conname)
        if constraint.indexname:
            # PostgreSQL gives the index the name of the constraint that takes it over.
            _rename_index(found, own, constraint.indexname, constraint.conname)


def _rename_index(found: Standing, table: Relation, name: str, to: str) -> None:
    found.rename(
        "index",
        Relation(name=name, schema=table.schema),
        Relation(name=to, schema=table.schema),
    )


def _relation(field: str) -> Follow:
    def handler(found: Standing, tree: Node) -> None:
        named: RangeVar = getattr(tree, field)
        if named.relpersistence != TEMPORARY:
            found.add("table", relation(named))

    return handler


def _table_as(found: Standing, tree: Node) -> None:
    _relation("rel")(found, tree.into)


def _select(found: Standing, tree: Node) -> None:
    if tree.HasField("into_clause"):
        _relation("rel")(found, tree.into_clause)


def _foreign_table(found: Standing, tree: Node) -> None:
    _table(found, tree.base_stmt)


def _index(found: Standing, tree: Node) -> None:
    table = relation(tree.relation)
    if tree.idxname:
        found.add("index", Relation(name=tree.idxname, schema=table.schema), table=table)


def _part(kind: Kind, named: str, on: str = "relation") -> Follow:
    def handler(found: Standing, tree: Node) -> None:
        found.add(kind, relation(getattr(tree, on)), getattr(tree, named))

    return handler


def _type(field: str) -> Follow:
    def handler(found: Standing, tree: Node) -> None:
        found.add("type", of_parts(_strings(getattr(tree, field))))

    return handler


def _composite(found: Standing, tree: Node) -> None:
    found.add("type", relation(tree.typevar))


def _enum(found: Standing, tree: Node) -> None:
    own = of_parts(_strings(tree.type_name))
    if tree.old_val:
        found.rename_part("enum value", own, tree.old_val, tree.new_val)
    else:
        found.add("enum value", own, tree.new_val)


def _function(found: Standing, tree: Node) -> None:
    found.add("function", of_parts(_strings(tree.funcname)))


def _schema(found: Standing, tree: Node) -> None:
    if tree.schemaname:
        found.add("schema", Relation(name=tree.schemaname))


def _extension(found: Standing, tree: Node) -> None:
    found.add("extension", Relation(name=tree.extname))


def _alter_table(found: Standing, tree: Node) -> None:
    own = relation(tree.relation)
    if _word(tree.objtype) == "TYPE":
        return
    for item in tree.cmds:
        _form(found, own, item.alter_table_cmd)


def _form(found: Standing, own: Relation, command: AlterTableCmd) -> None:
    name = form_name(command)
    definition = getattr(command, "def")
    if name == "AT_AddColumn":
        found.add("column", own, definition.column_def.colname)
        _constraints(found, own, definition.column_def.constraints)
    elif name == "AT_DropColumn":
        found.drop("column", own, command.name)
        found.doubt_on(own)
    elif name == "AT_AddConstraint":
        _constraints(found, own, [definition])
    elif name == "AT_DropConstraint":
        found.drop("constraint", own, command.name)
        found.drop("index", Relation(name=command.name, schema=own.schema))
    if command.behavior == DropBehavior.Value("DROP_CASCADE"):
        found.doubt_all()


def _drop(found: Standing, tree: Node) -> None:
    what = _word(tree.remove_type)
    for item in tree.objects:
        parts = _named(item)
        if what in PARTS:
            found.drop(PARTS[what], of_parts(parts[:-1]), parts[-1])
        elif what in KINDS:
            found.drop(KINDS[what], of_parts(parts))
    if tree.behavior == DropBehavior.Value("DROP_CASCADE"):
        found.doubt_all()


def _rename(found: Standing, tree: Node) -> None:
    what = _word(tree.rename_type)
    if what in PARTS:
        own = relation(tree.relation)
        found.rename_part(PARTS[what], own, tree.subname, tree.newname)
        if what == "TABCONSTRAINT":
            _rename_index(found, own, tree.subname, tree.newname)
    elif what in KINDS:
        own = (
            relation(tree.relation) if tree.HasField("relation") else of_parts(_named(tree.object))
        )
        found.rename(KINDS[what], own, Relation(name=tree.newname, schema=own.schema))


def _move(found: Standing, tree: Node) -> None:
    what = _word(tree.object_type)
    if what in KINDS and what != "EXTENSION":
        own = (
            relation(tree.relation) if tree.HasField("relation") else of_parts(_named(tree.object))
        )
        found.rename(KINDS[what], own, Relation(name=own.name, schema=tree.newschema))


def _word(value: int) -> str:
    return str(ObjectType.Name(value)).removeprefix("OBJECT_")


def _strings(items: Iterable[Node]) -> tuple[str, ...]:
    return tuple(item.string.sval for item in items)


def _named(node: Node) -> tuple[str, ...]:
    """Return the parts of an object's name, in whichever way its kind writes it."""
    if node.HasField("object_with_args"):
        return _strings(node.object_with_args.objname)
    if node.HasField("type_name"):
        return _strings(node.type_name.names)
    if node.HasField("string"):
        return (cast("str", node.string.sval),)
    return dotted(node)


HANDLERS: dict[str, Follow] = {
    "variable_set_stmt": _settings,
    "create_stmt": _table,
    "create_table_as_stmt": _table_as,
    "select_stmt": _select,
    "create_foreign_table_stmt": _foreign_table,
    "view_stmt": _relation("view"),
    "create_seq_stmt": _relation("sequence"),
    "index_stmt": _index,
    "create_trig_stmt": _part("trigger", "trigname"),
    "create_policy_stmt": _part("policy", "policy_name", on="table"),
    "create_enum_stmt": _type("type_name"),
    "create_range_stmt": _type("type_name"),
    "create_domain_stmt": _type("domainname"),
    "composite_type_stmt": _composite,
    "alter_enum_stmt": _enum,
    "create_function_stmt": _function,
    "create_schema_stmt": _schema,
    "create_extension_stmt": _extension,
    "alter_table_stmt": _alter_table,
    "drop_stmt": _drop,
    "rename_stmt": _rename,
    "alter_object_schema_stmt": _move,
}

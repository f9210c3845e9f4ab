"""Tell whether a new column's value is computed for each row, which writes the whole table anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

import postgast
from postgast.pg_query_pb2 import ConstrType

if TYPE_CHECKING:
    from postgast.pg_query_pb2 import ColumnDef, FuncCall

# Computed once a statement, so that ADD COLUMN stores one value for all old rows (since PostgreSQL 11).
STABLE = {
    "now",
    "transaction_timestamp",
    "statement_timestamp",
    "current_setting",
    "lower",
    "upper",
    "md5",
    "to_timestamp",
    "make_interval",
    "make_date",
    "jsonb_build_object",
    "jsonb_build_array",
    "json_build_object",
    "json_build_array",
    "concat",
    "coalesce",
    "length",
    "repeat",
    "encode",
    "decode",
    "date_trunc",
    "timezone",
    "to_jsonb",
    "to_json",
    "array_fill",
}
VOLATILE = {
    "clock_timestamp",
    "timeofday",
    "random",
    "gen_random_uuid",
    "uuid_generate_v4",
    "uuid_generate_v1",
    "nextval",
    "setseed",
    "gen_random_bytes",
    "gen_salt",
    "random_normal",
    "uuidv4",
    "uuidv7",
}
SERIAL = {"serial", "serial2", "serial4", "serial8", "bigserial", "smallserial"}


def computed_for_each_row(column: ColumnDef) -> bool | None:
    """Return True for serial, identity, stored generated or volatile defaults; None if unknown."""
    if column.type_name.names and column.type_name.names[-1].string.sval in SERIAL:
        return True
    answer: bool | None = False
    for item in column.constraints:
        kind = ConstrType.Name(item.constraint.contype)
        if kind == "CONSTR_IDENTITY":
            return True
        if kind == "CONSTR_GENERATED":
            return bool(item.constraint.generated_kind != "v")
        if kind == "CONSTR_DEFAULT":
            answer = _volatile(item.constraint)
    return answer


def _volatile(expression: object) -> bool | None:
    answer: bool | None = False
    for _, node in postgast.walk(expression):
        if type(node).__name__ == "FuncCall":
            name = _name(node)
            if name in VOLATILE:
                return True
            if name not in STABLE:
                answer = None
    return answer


def _name(call: FuncCall) -> str:
    return str(call.funcname[-1].string.sval).lower()

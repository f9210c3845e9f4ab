"""Functions of PostgreSQL that neither write a table nor move a sequence back.

A statement that calls another one does what its text does not tell. Names are those of
PostgreSQL's documentation, chapter 9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.migrations.volatility import STABLE, VOLATILE

if TYPE_CHECKING:
    from postgast.pg_query_pb2 import FuncCall

AGGREGATES = """array_agg avg bit_and bit_or bool_and bool_or count every json_agg json_object_agg
jsonb_agg jsonb_object_agg max min string_agg sum"""
WINDOWS = "dense_rank first_value lag last_value lead ntile percent_rank rank row_number"
TEXT = """ascii btrim chr concat_ws format initcap left lpad ltrim octet_length char_length overlay
position quote_ident quote_literal quote_nullable regexp_match regexp_matches regexp_replace
regexp_split_to_array regexp_split_to_table replace reverse right rpad rtrim split_part starts_with
strpos substr substring to_hex translate convert_from convert_to sha224 sha256 sha384 sha512"""
NUMBERS = "abs ceil ceiling div exp floor greatest least ln log mod power round sign sqrt trunc"
TIMES = "age date_part extract make_time make_timestamp make_timestamptz to_char to_date to_number"
STRUCTURES = """array_append array_cat array_length array_position array_prepend array_remove
array_replace array_to_string cardinality generate_series generate_subscripts string_to_array unnest
json_array_elements json_array_elements_text json_each json_each_text json_extract_path_text
jsonb_array_elements jsonb_array_elements_text jsonb_array_length jsonb_each jsonb_each_text
jsonb_extract_path_text jsonb_object_keys jsonb_set jsonb_strip_nulls jsonb_typeof row_to_json"""
SERVER = """current_schema to_regclass pg_get_serial_sequence pg_typeof pg_sleep hashtext
hashtextextended format_type"""
# a sequence only goes on, so that no number is given twice
KNOWN = (STABLE | VOLATILE - {"setseed"}) | set(
    f"{AGGREGATES} {WINDOWS} {TEXT} {NUMBERS} {TIMES} {STRUCTURES} {SERVER}".split()
)


def unknown_call(call: FuncCall) -> str:
    """Return the name of a function whose doing is not known; empty for one that is."""
    *schema, name = (str(part.string.sval) for part in call.funcname)
    known = schema in ([], ["pg_catalog"]) and name.lower() in KNOWN
    return "" if known else ".".join((*schema, name))

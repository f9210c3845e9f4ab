"""What belongs to a database and not to its content: owner, grants, settings, locale."""

# ruff: noqa: S608 - every name and value is quoted by this module

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from changeover.agent.failure import ActionError
from changeover.agent.postgres.tools import identifier, literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from changeover.agent.postgres.session import Record, Session

BUILTIN_SINCE = 17
DEFAULT = "pg_default"
PROVIDERS_SINCE = 15
# PostgreSQL stores these as lists of quoted identifiers, and wants every element by itself
LISTS = {
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
}


def read(session: Session, database: str) -> Record | None:
    """Return a database's properties, or ``None`` when there is no such database."""
    if session.major >= BUILTIN_SINCE:
        locale = "d.datlocprovider::text AS provider, d.datlocale AS locale"
    elif session.major >= PROVIDERS_SINCE:
        locale = "d.datlocprovider::text AS provider, d.daticulocale AS locale"
    else:
        locale = "'c' AS provider, NULL AS locale"
    found = session.rows(
        f"""SELECT d.oid::bigint AS oid, pg_get_userbyid(d.datdba) AS owner,
        pg_encoding_to_char(d.encoding) AS encoding, d.datcollate AS collate, d.datctype AS ctype,
        {locale}, d.datconnlimit AS connections, d.datallowconn AS open,
        shobj_description(d.oid, 'pg_database') AS comment, t.spcname AS tablespace
        FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace
        WHERE d.datname = {literal(database)}"""
    )
    if not found:
        return None
    (properties,) = found
    oid = properties["oid"]
    grants = session.rows(
        f"""SELECT CASE a.grantee WHEN 0 THEN NULL ELSE pg_get_userbyid(a.grantee) END AS role,
        pg_get_userbyid(a.grantor) AS grantor,
        a.privilege_type AS privilege, a.is_grantable AS grantable
        FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
        WHERE d.oid = {oid} ORDER BY 1 NULLS FIRST, 2, 3, 4"""
    )
    settings = session.rows(
        f"""SELECT CASE setrole WHEN 0 THEN NULL ELSE pg_get_userbyid(setrole) END AS role,
        unnest(setconfig) AS setting FROM pg_db_role_setting
        WHERE setdatabase = {oid} ORDER BY 1 NULLS FIRST, 2"""
    )
    return properties | {"grants": grants, "settings": settings}


def tablespace(session: Session, live: str, properties: Record) -> Record:
    """Return in which tablespace a copy of a database is made: that of the live one, where there is one.

    Args:
        session: A session of the server.
        live: The live database.
        properties: Those of the database that is copied.

    Returns:
        ``name``, and ``place``, its directory (``None`` for the data directory).

    Raises:
        ActionError: ``tablespace-missing`` when this server has none of that name.
    """
    now = read(session, live) or properties
    name = str(now.get("tablespace") or DEFAULT)  # older agents did not note it
    places = session.rows(
        f"""SELECT pg_tablespace_location(oid) AS place FROM pg_tablespace
        WHERE spcname = {literal(name)}"""
    )
    if not places:
        message = f"the database was in tablespace {name}, which this server does not have"
        raise ActionError("tablespace-missing", message)
    place = places[0]["place"]
    return {"name": name, "place": Path(str(place)) if place else None}


def create(database: str, properties: Record, major: int) -> str:
    """Return the statement that makes an empty database of the same encoding and locale.

    Nobody but its owner and superusers may enter it until the properties are carried over.
    """
    words = [f"CREATE DATABASE {identifier(database)} TEMPLATE template0"]
    words.append(f"OWNER {identifier(properties['owner'])}")
    words.append(f"ENCODING {literal(properties['encoding'])}")
    words.append(f"LC_COLLATE {literal(properties['collate'])}")
    words.append(f"LC_CTYPE {literal(properties['ctype'])}")
    provider, locale = properties["provider"], properties["locale"]
    if major >= PROVIDERS_SINCE and provider == "i":
        words.append(f"LOCALE_PROVIDER icu ICU_LOCALE {literal(locale)}")
    elif major >= BUILTIN_SINCE and provider == "b":
        words.append(f"LOCALE_PROVIDER builtin BUILTIN_LOCALE {literal(locale)}")
    if properties.get("tablespace"):
        words.append(f"TABLESPACE {identifier(properties['tablespace'])}")
    revoke = f"REVOKE ALL ON DATABASE {identifier(database)} FROM PUBLIC"
    return f"{' '.join(words)};\n{revoke};"


def clear(database: str, properties: Record) -> str:
    """Return the statements that take from a database what an earlier try gave to roles."""
    name = identifier(database)
    granted = {grant["role"] for grant in properties["grants"]} - {None, properties["owner"]}
    settled = {entry["role"] for entry in properties["settings"]} - {None}
    lines = [
        *(f"REVOKE ALL ON DATABASE {name} FROM {identifier(one)} CASCADE" for one in granted),
        *(f"ALTER ROLE {identifier(one)} IN DATABASE {name} RESET ALL" for one in settled),
    ]
    return "".join(f"{line};\n" for line in lines)


def carry(database: str, properties: Record) -> str:
    """Return the statements that give a restored database the properties of another."""
    name = identifier(database)
    owner = properties["owner"]
    lines = [
        f"ALTER DATABASE {name} OWNER TO {identifier(owner)}",
        f"REVOKE ALL ON DATABASE {name} FROM PUBLIC",
        f"REVOKE ALL ON DATABASE {name} FROM {identifier(owner)}",
        f"ALTER DATABASE {name} CONNECTION LIMIT {int(properties['connections'])}",
        f"ALTER DATABASE {name} RESET ALL",
    ]
    if properties.get("tablespace"):
        lines.append(f"ALTER DATABASE {name} SET TABLESPACE {identifier(properties['tablespace'])}")
    for grantor, role, privilege, grantable in _in_order(properties):
        option = " WITH GRANT OPTION" if grantable else ""
        grant = f"GRANT {privilege} ON DATABASE {name} TO {role}{option}"
        # what a superuser grants is the owner's; anybody else has to do it in person
        own = grantor == owner
        lines += [grant] if own else [f"SET ROLE {identifier(grantor)}", grant, "RESET ROLE"]
    for entry in properties["settings"]:
        role = entry["role"]
        scope = (
            f"DATABASE {name}" if role is None else f"ROLE {identifier(role)} IN DATABASE {name}"
        )
        setting, _, value = entry["setting"].partition("=")
        quoted = ".".join(identifier(part) for part in setting.split("."))
        lines.append(f"ALTER {scope} SET {quoted} TO {_value(setting, value)}")
    if properties["comment"] is not None:
        lines.append(f"COMMENT ON DATABASE {name} IS {literal(properties['comment'])}")
    return ";\n".join(lines) + ";"


def _in_order(properties: Record) -> Iterator[tuple[str, str, str, bool]]:
    """Give every grant as grantor, quoted role, privilege and option, after what it builds on."""
    owner = properties["owner"]
    pending = list(properties["grants"])
    able: set[tuple[str, str]] = set()
    while pending:
        # manifests of older agents do not say who granted
        ready = [
            grant
            for grant in pending
            if grant.get("grantor", owner) == owner
            or (grant["grantor"], grant["privilege"]) in able
        ] or pending
        for grant in ready:
            role = "PUBLIC" if grant["role"] is None else identifier(grant["role"])
            yield grant.get("grantor", owner), role, grant["privilege"], grant["grantable"]
        able |= {(grant["role"], grant["privilege"]) for grant in ready if grant["grantable"]}
        pending = [grant for grant in pending if grant not in ready]


def _value(setting: str, value: str) -> str:
    if setting.lower() not in LISTS:
        return literal(value)
    elements = re.findall(r'"((?:[^"]|"")*)"|([^",\s]+)', value)
    return ", ".join(literal(plain or quoted.replace('""', '"')) for quoted, plain in elements)


def same(one: Record, other: Record) -> bool:
    """Tell whether two databases have the same owner, grants, settings and tablespace."""
    if sorted(_in_order(one)) != sorted(_in_order(other)):
        return False
    places = {one.get("tablespace"), other.get("tablespace")} - {None}
    if len(places) > 1:
        return False
    keys = ("owner", "settings", "connections", "comment", "encoding", "collate")
    return all(one[key] == other[key] for key in keys)

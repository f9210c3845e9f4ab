"""Make the roles and databases that standard input declares; print what changed as a JSON list.

Standard input: ``{"check": bool, "port": int, "databases": {app: {"name", "owner", "role"}},
"passwords": {app: {"owner", "app"}}}``. With ``check`` everything happens in transactions that are rolled back, so the
answer is what a real run would change. The server only ever sees SCRAM verifiers.
"""

# ruff: noqa: INP001 - a program of the role, not part of a package
# ruff: noqa: S608 - names are quoted by identifier()
from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import subprocess
import sys

ITERATIONS = 4096
SALT_BYTES = 16

STATE_OF_DATABASE = """
SELECT 'acl of ' || what || ' ' || name || ': ' || coalesce(acl, 'default') FROM (
  SELECT 'schema' AS what, nspname::text AS name, nspacl::text || ' owner ' || nspowner::regrole AS acl
    FROM pg_namespace WHERE nspname = 'public'
  UNION ALL SELECT 'database', datname, datacl::text || ' owner ' || datdba::regrole
    FROM pg_database WHERE datname = current_database()
  UNION ALL SELECT 'default ' || defaclobjtype::text, defaclrole::regrole::text, defaclacl::text
    FROM pg_default_acl
  UNION ALL SELECT 'relation', c.oid::regclass::text, c.relacl::text
    FROM pg_class c WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S')
) AS grants ORDER BY 1
"""
ROLES = """
SELECT rolname, rolcanlogin AND NOT rolsuper AND NOT rolcreatedb AND NOT rolcreaterole
       AND NOT rolreplication AND NOT rolbypassrls, coalesce(rolpassword, ''),
       pg_has_role(oid, 'pg_read_all_stats', 'member')
FROM pg_authid
"""


class Server:
    """The cluster of this host, spoken to as its own superuser over the socket."""

    def __init__(self, port: int) -> None:
        self.port = port

    def run(self, sql: str, database: str = "postgres") -> list[list[str]]:
        """Run ``sql``, which travels on standard input, and return its rows."""
        command = ["runuser", "-u", "postgres", "--", "psql", "-XAtq", "-F", "\t"]
        command += ["-v", "ON_ERROR_STOP=1", "-p", str(self.port), "-d", database, "-f", "-"]
        done = subprocess.run(
            command, input=sql, capture_output=True, text=True, check=False, cwd="/"
        )
        if done.returncode != 0:
            sys.exit(f"PostgreSQL refused: {done.stderr.strip()}")
        return [line.split("\t") for line in done.stdout.splitlines()]


def identifier(name: str) -> str:
    """Quote a name for SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote a text for SQL."""
    return "E'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def verifier(password: str, salt: bytes, iterations: int = ITERATIONS) -> str:
    """Compute the SCRAM-SHA-256 verifier that PostgreSQL stores for a password (RFC 5803)."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    client = hmac.digest(salted, b"Client Key", "sha256")
    stored = base64.b64encode(hashlib.sha256(client).digest()).decode()
    server = base64.b64encode(hmac.digest(salted, b"Server Key", "sha256")).decode()
    return f"SCRAM-SHA-256${iterations}:{base64.b64encode(salt).decode()}${stored}:{server}"


def matches(password: str, stored: str) -> bool:
    """Tell whether the stored verifier is this password's."""
    try:
        _, parameters, _ = stored.split("$")
        iterations, salt = parameters.split(":")
        return hmac.compare_digest(
            verifier(password, base64.b64decode(salt), int(iterations)), stored
        )
    except ValueError:
        return False


def make_role(server: Server, name: str, password: str, *, stats: bool, check: bool) -> list[str]:
    """Make or mend one login role; ``stats`` lets it see what blocks it."""
    known = {row[0]: row[1:] for row in server.run(ROLES)}
    plain, stored, sees = known.get(name, ["", "", "f"])
    statements, changes = [], []
    if name not in known:
        statements.append(f"CREATE ROLE {identifier(name)};")
        changes.append(f"role {name} is made")
    elif plain != "t":
        changes.append(f"role {name} gets its attributes back")
    if plain != "t":
        statements.append(
            f"ALTER ROLE {identifier(name)} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE"
            " NOREPLICATION NOBYPASSRLS;"
        )
    if not matches(password, stored):
        salted = verifier(password, os.urandom(SALT_BYTES))
        statements.append(f"ALTER ROLE {identifier(name)} PASSWORD {literal(salted)};")
        changes.append(f"role {name} gets its password")
    if stats and sees != "t":
        statements.append(f"GRANT pg_read_all_stats TO {identifier(name)};")
        changes.append(f"role {name} may see what blocks it")
    if statements and not check:
        server.run("BEGIN;" + "\n".join(statements) + "COMMIT;")
    return changes


def make_database(server: Server, name: str, owner: str, *, check: bool) -> list[str]:
    """Make the database where there is none, UTF-8 and with a sort order that no update changes."""
    if [name] in server.run("SELECT datname FROM pg_database;"):
        return []
    if not check:
        server.run(
            f"CREATE DATABASE {identifier(name)} OWNER {identifier(owner)} TEMPLATE template0"
            " ENCODING 'UTF8' LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8';"
        )
    return [f"database {name} is made"]


def grant(server: Server, name: str, owner: str, role: str, *, check: bool) -> list[str]:
    """Let the owner build and the app's role use what it built; everybody else stays out."""
    database, owner, role = identifier(name), identifier(owner), identifier(role)
    statements = f"""
    BEGIN;
    {STATE_OF_DATABASE};
    SELECT '--';
    ALTER DATABASE {database} OWNER TO {owner};
    REVOKE ALL ON DATABASE {database} FROM PUBLIC;
    GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {role};
    ALTER SCHEMA public OWNER TO {owner};
    REVOKE ALL ON SCHEMA public FROM PUBLIC;
    GRANT USAGE ON SCHEMA public TO {role};
    ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public
        GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {role};
    ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public
        GRANT USAGE, SELECT ON SEQUENCES TO {role};
    SELECT '--';
    {STATE_OF_DATABASE};
    {"ROLLBACK" if check else "COMMIT"};
    """
    lines = ["\t".join(row) for row in server.run(statements, name)]
    first = lines.index("--")
    second = lines.index("--", first + 1)
    return sorted(set(lines[second + 1 :]) - set(lines[:first]))


def main() -> None:
    """Make everything and print the changes."""
    wanted = json.load(sys.stdin)
    server, check = Server(wanted["port"]), wanted["check"]
    changes: list[str] = []
    for app, one in wanted["databases"].items():
        name, owner, role = one["name"], one["owner"], one["role"]
        passwords = wanted["passwords"][app]
        changes += make_role(server, owner, passwords["owner"], stats=True, check=check)
        changes += make_role(server, role, passwords["app"], stats=False, check=check)
        changes += make_database(server, name, owner, check=check)
        if not (check and changes):
            changes += grant(server, name, owner, role, check=check)
    sys.stdout.write(json.dumps(changes))


if __name__ == "__main__":
    main()

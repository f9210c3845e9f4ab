"""The roles and databases that provisioning makes, on a real server."""

from __future__ import annotations

import base64
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.postgres.conftest import Server

pytestmark = pytest.mark.postgres

PROGRAM = Path(__file__).resolve().parents[2] / "roles/postgresql/files/databases.py"
SHOP = {"name": "shop", "owner": "shop_owner", "role": "shop_app"}
PASSWORDS = {"owner": "the owner's \\ 'word'", "app": "the app's word"}


def provision(
    server: Server, *, check: bool = False, passwords: dict[str, str] = PASSWORDS
) -> list[str]:
    wanted = {
        "check": check,
        "port": server.port,
        "databases": {"shop": SHOP},
        "passwords": {"shop": passwords},
    }
    done = subprocess.run(
        [sys.executable, "-I", PROGRAM],
        input=json.dumps(wanted),
        env={**os.environ, "PGHOST": str(server.directory), "PGPASSWORD": server.password},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    changes: list[str] = json.loads(done.stdout)
    return changes


@pytest.fixture
def clean(postgres_server: Server) -> Iterator[Server]:
    server = postgres_server
    yield server
    server.run("DROP DATABASE IF EXISTS shop WITH (FORCE)")
    for role in ("shop_app", "shop_owner"):
        server.run(f"DROP ROLE IF EXISTS {role}")


def session(server: Server, role: str, password: str) -> psycopg.Connection[Any]:
    parameters: dict[str, Any] = server.database("shop", role, password).parameters()
    return psycopg.connect(**parameters, autocommit=True)


def test_a_second_run_changes_nothing(clean: Server) -> None:
    first = provision(clean)

    assert "database shop is made" in first
    assert provision(clean) == []


def test_a_check_tells_what_would_change_and_changes_nothing(clean: Server) -> None:
    told = provision(clean, check=True)

    assert "role shop_app is made" in told
    assert clean.run("SELECT count(*) FROM pg_database WHERE datname = 'shop'") == [(0,)]
    assert clean.run("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'shop%'") == [(0,)]


def test_the_app_uses_what_the_owner_makes_and_makes_nothing(clean: Server) -> None:
    provision(clean)
    with session(clean, "shop_owner", PASSWORDS["owner"]) as owner:
        owner.execute("CREATE TABLE items (id serial PRIMARY KEY, name text)")
    with session(clean, "shop_app", PASSWORDS["app"]) as app:
        app.execute("INSERT INTO items (name) VALUES ('bread')")
        app.execute("DELETE FROM items")
        for statement in ("CREATE TABLE more (id int)", "ALTER TABLE items ADD price int"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                app.execute(statement.encode())


def test_nobody_else_gets_in(clean: Server) -> None:
    provision(clean)
    clean.run("CREATE ROLE stranger LOGIN PASSWORD 'stranger'")
    try:
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            session(clean, "stranger", "stranger")
    finally:
        clean.run("DROP ROLE stranger")


def test_another_password_is_set_and_the_old_one_ends(clean: Server) -> None:
    provision(clean)

    changed = provision(clean, passwords={**PASSWORDS, "app": "another word"})

    assert changed == ["role shop_app gets its password"]
    session(clean, "shop_app", "another word").close()
    with pytest.raises(psycopg.OperationalError):
        session(clean, "shop_app", PASSWORDS["app"])


def test_what_was_taken_from_or_given_to_a_role_is_put_right(clean: Server) -> None:
    provision(clean)
    clean.run("ALTER ROLE shop_app CREATEDB")
    clean.run("GRANT CREATE ON SCHEMA public TO PUBLIC", "shop")

    changed = provision(clean)

    assert "role shop_app gets its attributes back" in changed
    assert any(line.startswith("acl of schema public") for line in changed)
    assert provision(clean) == []


def test_a_password_reaches_the_server_as_a_verifier_only(clean: Server) -> None:
    clean.run("ALTER SYSTEM SET log_statement = 'all'")
    clean.run("SELECT pg_reload_conf()")
    try:
        provision(clean)
    finally:
        clean.run("ALTER SYSTEM RESET log_statement")
        clean.run("SELECT pg_reload_conf()")

    log = clean.log.read_text()

    assert "SCRAM-SHA-256$4096:" in log
    assert "app's word" not in log


def test_the_verifier_is_that_of_the_standard() -> None:
    program = runpy.run_path(str(PROGRAM))
    # RFC 7677, section 3: the exchange of user "user" with password "pencil"
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")

    assert program["verifier"]("pencil", salt) == (
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ=="
        "$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
        ":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )

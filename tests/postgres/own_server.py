"""A PostgreSQL server of one's own, a database in it, and a runner that can be killed."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import sql

from changeover.database import Database
from changeover.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from changeover.migrations.records import MigrationFolder

BINARIES = Path("/usr/lib/postgresql/15/bin")
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "60",
    "shared_buffers": "32MB",
    "fsync": "off",
    "autovacuum": "off",
    "max_prepared_transactions": "5",
    "log_min_messages": "warning",
}


def as_postgres(*command: str | Path) -> list[str]:
    """Build the argument list that runs a server program: never as root, and ending with us."""
    prefix = ["setpriv", "--pdeathsig=INT"]
    if os.geteuid() == 0:
        prefix += ["--reuid=postgres", "--regid=postgres", "--init-groups"]
    return [*prefix, *map(str, command)]


def free_port() -> int:
    """Return a loopback port nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@dataclasses.dataclass(slots=True, kw_only=True)
class Server:
    """A running server: its directory, port, superuser, and ways to talk to it."""

    directory: Path
    port: int
    password: str
    binaries: Path = BINARIES
    settings: Mapping[str, str] = dataclasses.field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def log(self) -> Path:
        return self.directory / "server.log"

    def program(self, name: str, *words: str | Path) -> list[str]:
        """Build the argument list that runs one of the server's programs as its user."""
        return as_postgres(self.binaries / name, *words)

    def admin(self, name: str = "postgres") -> Database:
        """Return the connection record of the superuser."""
        return self.database(name, "postgres", self.password)

    def database(self, name: str, user: str, password: str) -> Database:
        """Return the connection record of any role."""
        return Database(
            host="127.0.0.1",
            port=self.port,
            name=name,
            user=user,
            password=Secret(password),
            label="test-db",
        )

    def run(self, statement: str, name: str = "postgres") -> list[tuple[Any, ...]]:
        """Run SQL as the superuser, each call on a session of its own, and return the rows."""
        with connect(self.admin(name)) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def start(self) -> None:
        """Start the server and wait until it answers."""
        settings = SETTINGS | dict(self.settings)
        options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                as_postgres(
                    self.binaries / "postgres",
                    *("-D", self.data, "-p", str(self.port), "-k", self.directory),
                    *options,
                ),
                stdout=log,
                stderr=log,
                cwd="/",
            )
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(psycopg.OperationalError), connect(self.admin()):
                return
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the test server did not start:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End the server: SIGINT disconnects every client, SIGQUIT is a crash."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(60)
            self.process = None


def connect(database: Database) -> psycopg.Connection[tuple[Any, ...]]:
    """Open an autocommit session with nothing set: what a naive client does."""
    parameters: dict[str, Any] = database.parameters()
    return psycopg.connect(**parameters, autocommit=True)


def new_server(directory: Path, binaries: Path = BINARIES) -> Server:
    """Make an empty cluster with scram passwords over TCP; not started yet."""
    if not binaries.is_dir():
        pytest.fail(f"{binaries} is missing: apt-get install postgresql-15")
    password = secrets.token_hex(16)
    directory.chmod(0o755)
    password_file = directory / "password"
    password_file.write_text(password)
    if os.geteuid() == 0:
        shutil.chown(directory, "postgres", "postgres")
        shutil.chown(password_file, "postgres", "postgres")
    subprocess.run(
        as_postgres(
            *(binaries / "initdb", "-D", directory / "data", "--no-sync", "--username=postgres"),
            *("--pwfile", password_file, "--auth-host=scram-sha-256", "--auth-local=trust"),
            *("--encoding=UTF8", "--locale=C.UTF-8"),
        ),
        check=True,
        capture_output=True,
        cwd="/",
    )
    return Server(directory=directory, port=free_port(), password=password, binaries=binaries)


@contextlib.contextmanager
def running_server(
    binaries: Path = BINARIES,
    *,
    directory: Path | None = None,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Give a cluster of its own that runs, ``settings`` over those of tests; it is gone afterwards."""
    place = directory or Path(tempfile.mkdtemp(prefix="changeover-postgres-", dir="/tmp"))
    server = new_server(place, binaries)
    server.settings = settings or {}
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(place, ignore_errors=True)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """A fresh database with its owner role and its app role, as `provision` leaves them."""

    server: Server
    name: str
    owner: Database
    app: Database

    @property
    def admin(self) -> Database:
        return self.server.admin(self.name)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Run SQL in this database as the superuser and return the rows."""
        return self.server.run(statement, self.name)

    def value(self, statement: str) -> Any:  # noqa: ANN401 - whatever the column holds
        """Return the first column of the first row."""
        return self.rows(statement)[0][0]


@contextlib.contextmanager
def fresh_shop(server: Server) -> Iterator[Shop]:
    """Give an empty database; it and its roles are dropped afterwards."""
    name = f"shop_{secrets.token_hex(4)}"
    roles = {role: secrets.token_hex(8) for role in (f"{name}_owner", f"{name}_app")}
    with connect(server.admin()) as connection:
        for role, password in roles.items():
            connection.execute(
                sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(role), password)
            )
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {}").format(
                sql.Identifier(name), sql.Identifier(f"{name}_owner")
            )
        )
    owner, app = (server.database(name, role, roles[role]) for role in roles)
    try:
        yield Shop(server=server, name=name, owner=owner, app=app)
    finally:
        with connect(server.admin()) as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )
            for role in roles:
                connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))


@dataclasses.dataclass(frozen=True, slots=True)
class Runner:
    """A runner in a process of its own."""

    process: subprocess.Popen[str]

    def end(self) -> str:
        """Wait for it and return what it wrote to stderr."""
        return self.process.communicate(timeout=120)[1]

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.communicate(timeout=60)


def start_runner(shop: Shop, folder: MigrationFolder, **options: object) -> Runner:
    """Start a runner on a folder; ``options`` are those of `run_migrations`."""
    owner = dataclasses.asdict(shop.owner) | {"password": shop.owner.password.reveal()}
    request = {"database": owner, "folder": str(folder.path), "release": folder.release}
    process = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("run_migrations.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(request | options))
    process.stdin.close()
    process.stdin = None
    return Runner(process)

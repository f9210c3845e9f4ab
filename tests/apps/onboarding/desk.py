"""A running onboarding app on a database of its own, and those who ask it."""

from __future__ import annotations

import contextlib
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.apps.python_app import Answer, ask, running, signed
from tests.postgres.own_server import connect, fresh_shop

from changeover.agent.colour.unix_connection import UnixConnection

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import LiteralString

    from tests.postgres.own_server import Server, Shop

ROOT = Path(__file__).parents[3]
APP = ROOT / "apps" / "onboarding"
MIGRATE = "/api/admin/onboarding/migrate-version"
STEPS = "/api/onboarding/steps"
SECRET = "a secret of tests, of 32 letters"
# A million users on a machine that is busy.
ANSWER_SECONDS = 300


def token(user: str = "ann", role: str = "admin", *, secret: str = SECRET, **more: object) -> str:
    """Return a token; claims of ``None`` are left out."""
    claims = {"sub": user, "role": role, "exp": int(time.time()) + 600, **more}
    return signed({name: value for name, value in claims.items() if value is not None}, secret)


@dataclass(frozen=True)
class Desk:
    """The app, and its database."""

    shop: Shop
    sockets: Path
    log: Path
    process: int

    def ask(
        self, method: str, path: str, body: object = None, *, bearer: str | None = None
    ) -> Answer:
        """Ask as an administrator unless a token is given; ``""`` sends none."""
        known = token() if bearer is None else bearer
        headers = {"Authorization": f"Bearer {known}"} if known else {}
        socket = self.sockets / "http.sock"
        return ask(socket, method, path, body, headers, seconds=ANSWER_SECONDS)

    def migrate(self, **asked: object) -> Answer:
        return self.ask(
            "POST", MIGRATE, {"stepId": "payments", "fromVersion": 1, "toVersion": 2} | asked
        )

    def step(self, name: str = "payments", weight: int = 30) -> None:
        self.write(
            """INSERT INTO onboarding_steps (step_id, version, title, weight)
            VALUES (%(name)s, 1, 'Configure ' || %(name)s::text, %(weight)s)""",
            name=name,
            weight=weight,
        )

    def users(self, status: str, first: int, last: int, step: str = "payments") -> None:
        """Give so many users a step that they have so."""
        numbers = {"status": status, "first": first, "last": last, "step": step}
        self.write(
            """INSERT INTO onboarding_users (user_id, role)
            SELECT 'u' || n, 'creator' FROM generate_series(%(first)s::int, %(last)s::int) n
            ON CONFLICT DO NOTHING""",
            **numbers,
        )
        self.write(
            """INSERT INTO onboarding_progress (user_id, step_id, version, status, completed_at)
            SELECT 'u' || n, %(step)s, 1, %(status)s, CASE %(status)s::text WHEN 'done' THEN now() END
            FROM generate_series(%(first)s::int, %(last)s::int) n""",
            **numbers,
        )

    def write(self, statement: LiteralString, **values: object) -> None:
        with connect(self.shop.admin) as connection:
            connection.execute(statement, values)

    def rows(self, *tables: str) -> list[Any]:
        """Return everything in the tables, to compare."""
        names = tables or (
            "onboarding_steps", "onboarding_users", "onboarding_progress", "step_migrations", "outbox",
        )  # fmt: skip
        return [sorted(map(str, self.shop.rows(f"SELECT * FROM {name}"))) for name in names]  # noqa: S608 - its own tables


def bring(shop: Shop) -> None:
    """Give a database the schema of 2.0.0."""
    for release in ("1.0.0", "2.0.0"):
        for file in sorted((APP / "releases" / release / "migrations/expand").glob("*.sql")):
            if file.name.count(".") == 1:
                shop.rows(file.read_text())
    shop.rows(
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {shop.app.user}"
    )


@contextlib.contextmanager
def serving(
    shop: Shop,
    sockets: Path,
    port: int | None = None,
    program: str = "administration",
    more: Mapping[str, str] | None = None,
) -> Iterator[Desk]:
    """Run a release's program on a database that has the schema; end it by SIGTERM unless it was killed.

    Args:
        shop: The database.
        sockets: Where it listens.
        port: Where the database is reached, unless at its own port.
        program: It.
        more: More of its environment.
    """
    place = shop.app
    environment = {
        "DATABASE_URL": f"postgresql://{place.user}:{place.password.reveal()}@{place.host}:{port or place.port}/{place.name}",
        "JWT_SECRET": SECRET,
        "RELEASE_VERSION": "2.0.0",
        "RELEASE_COLOUR": "2.0.0-00000000",
        **(more or {}),
    }
    with running(APP, program, sockets, environment) as made:
        yield Desk(shop, sockets, made.log, made.process)


@contextlib.contextmanager
def alone(
    server: Server, port: int | None = None, more: Mapping[str, str] | None = None
) -> Iterator[Desk]:
    """Run 2.0.0 on a database of its own, with nobody and nothing in it; takes what `serving` does."""
    # the path of a socket may have 108 letters
    with fresh_shop(server) as shop, tempfile.TemporaryDirectory(dir="/tmp") as folder:
        bring(shop)
        with serving(shop, Path(folder), port, more=more) as made:
            yield made


def scraped(desk: Desk) -> dict[str, float]:
    """Return the figures of an app as Prometheus reads them, by their whole name."""
    connection = UnixConnection(desk.sockets / "metrics.sock", ANSWER_SECONDS)
    with contextlib.closing(connection):
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
    told = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in told}

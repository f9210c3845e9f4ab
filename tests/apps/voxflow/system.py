"""VoxFlow running, on a database and a Redis of its own, and those who ask it."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.apps.python_app import ROOT, Answer, ask, running, signed
from tests.postgres.own_server import connect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import LiteralString

    from tests.postgres.own_server import Shop

APP = ROOT / "apps" / "voxflow"
MODULES = {
    "1.0.0": "legacy",
    "2.0.0": "compatibility",
    "2.1.0": "compatibility",
    "3.0.0": "tenancy",
}
SECRET = "a secret of tests, of 32 letters"
PASSWORD = "a password of tests"
SMOKE, ADMIN = "smoke@voxflow.test", "admin@voxflow.test"
PHASES = ("expand", "backfill")
UP_SECONDS = 60


@dataclass(frozen=True)
class System:
    """One version that runs."""

    version: str
    shop: Shop
    socket: Path
    log: Path

    def ask(
        self, method: str, path: str, body: object = None, *, bearer: str = "", **headers: str
    ) -> Answer:
        """Ask as whoever has a token, or as nobody."""
        sent = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return ask(self.socket, method, path, body, sent | named)

    def sign_in(self, email: str, password: str = PASSWORD) -> str:
        answer = self.ask("POST", "/api/auth/login", {"email": email, "password": password})
        assert answer.status == 200, answer
        token: str = answer.body["token"]
        return token

    def register(self, email: str, tier: str = "pro") -> str:
        """Make an account, and return its token."""
        asked = {
            "email": email,
            "password": PASSWORD,
            "organization_name": "",
            "subscription_tier": tier,
        }
        answer = self.ask("POST", "/api/auth/register", asked)
        assert answer.status == 201, answer
        token: str = answer.body["token"]
        return token

    def write(self, statement: LiteralString, **values: object) -> None:
        with connect(self.shop.admin) as connection:
            connection.execute(statement, values)

    def rows(self, statement: str) -> list[Any]:
        return self.shop.rows(statement)


def legacy_token(user: str, email: str, *, secret: str = SECRET, **more: object) -> str:
    """Return a token as 1.0.0 gives them; claims of ``None`` are left out."""
    now = int(time.time())
    claims = {"id": user, "email": email, "iat": now, "exp": now + 600, **more}
    return signed({name: value for name, value in claims.items() if value is not None}, secret)


def bring(shop: Shop, *versions: str, contract: tuple[str, ...] = ()) -> None:
    """Bring a database to the schema of the versions, those in ``contract`` with their end."""
    for version in versions:
        folder = APP / "releases" / version / "migrations"
        for phase in (*PHASES, *(("contract",) if version in contract else ())):
            for file in sorted((folder / phase).glob("*.sql")):
                if file.name.count(".") == 1:
                    _run(shop, file.read_text())
    _run(
        shop,
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {shop.app.user}",
    )


def _run(shop: Shop, text: str) -> None:
    if "CONCURRENTLY" in text:
        for statement in filter(str.strip, text.split(";")):
            shop.rows(statement)
    else:
        # What a batch of a backfill is bound by: all of them at once.
        shop.rows(text.replace("BETWEEN $1 AND $2", "IS NOT NULL"))


@contextlib.contextmanager
def redis_server() -> Iterator[Path]:
    """Run a Redis that lets VoxFlow in as hosts do, and give its socket."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        socket = Path(folder) / "redis.sock"
        rights = "voxflow on >cache-word ~voxflow:* &voxflow:* +@all -@admin -@dangerous +info"
        words: list[str | Path] = [
            "--port",
            "0",
            "--unixsocket",
            socket,
            "--save",
            "",
            "--appendonly",
            "no",
            "--dir",
            folder,
        ]
        process = subprocess.Popen(
            ["redis-server", *map(str, words), "--user", *rights.split()], stdout=subprocess.DEVNULL
        )
        try:
            for _ in range(UP_SECONDS * 20):
                if socket.exists():
                    break
                time.sleep(0.05)
            yield socket
        finally:
            process.terminate()
            process.wait(UP_SECONDS)


def emptied(socket: Path) -> str:
    """Return the address of a Redis, in which nothing is left of others: the limits of accounts are there."""
    subprocess.run(["redis-cli", "-s", socket, "FLUSHALL"], check=True, capture_output=True)
    return f"unix://voxflow:cache-word@{socket}"


def environment(version: str, shop: Shop, cache: str) -> dict[str, str]:
    """Return what a process of a version finds in its environment."""
    place = shop.app
    address = f"{place.user}:{place.password.reveal()}@{place.host}:{place.port}/{place.name}"
    return {
        "DATABASE_URL": f"postgresql://{address}",
        "REDIS_URL": cache,
        "JWT_SECRET": SECRET,
        "API_KEYS_SECRET": "1:a secret of tests that encrypts api keys",
        "ADMIN_EMAIL": ADMIN,
        "ADMIN_PASSWORD": PASSWORD,
        "SMOKE_EMAIL": SMOKE,
        "SMOKE_PASSWORD": PASSWORD,
        "RELEASE_VERSION": version,
        "RELEASE_COLOUR": f"{version}-00000000",
    }


@contextlib.contextmanager
def serving(version: str, shop: Shop, cache: str, **more: str) -> Iterator[System]:
    """Run one version on a database that has its schema."""
    said = environment(version, shop, cache) | more
    # the path of a socket may have 108 letters
    with (
        tempfile.TemporaryDirectory(dir="/tmp") as folder,
        running(APP, MODULES[version], Path(folder), said) as made,
    ):
        yield System(version, shop, made.socket, made.log)

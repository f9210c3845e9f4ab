"""A database of about a gigabyte, as an application of some years has it.

Long texts beside many small rows, jsonb, numerics, timestamps, keys and foreign keys. What is in it
is computed from row numbers, so that two runs have the same database.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench.rounds import Rounds, end_as_by_hand
from tests.postgres.own_server import running_server

from changeover.agent.backup.store import Store
from changeover.agent.postgres import tools

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.postgres.own_server import Server

# A server that keeps its data safe; nothing vacuums in between, so that rounds are alike.
SETTINGS = {"fsync": "on", "shared_buffers": "512MB", "max_wal_size": "4GB"}

# At a gigabyte, indexes included.
ROWS = {"articles": 120_000, "events": 750_000, "orders": 1_700_000, "readings": 3_600_000}
WORDS = """
CREATE FUNCTION words(seed bigint, many int) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT string_agg(substr('the of and order parcel customer invoice shipped returned address later'
        ' payment street number received opened closed broken nothing please before again because'
        ' warehouse supplier',
        1 + (hashint8extended(seed, n) & 127)::int, 4 + (n * 7 + seed)::int % 9), ' ')
        || md5(seed::text)
    FROM generate_series(1, many) AS n $$
"""
TABLES = """
CREATE TABLE articles (id bigint PRIMARY KEY, title varchar(200) NOT NULL, body text NOT NULL,
    summary text, price numeric(12, 2), published timestamptz NOT NULL, tags text[]);
INSERT INTO articles SELECT n, 'Article ' || n || ' ' || words(n, 4), words(n, 120 + (n % 300)::int),
    CASE WHEN n % 3 > 0 THEN words(n + 7, 20) END, (n % 100000) / 100.0,
    '2020-01-01 00:00+00'::timestamptz + n * interval '37 minutes', ARRAY['tag' || n % 40, 'sale']
    FROM generate_series(1, {articles}) AS n;
CREATE TABLE events (id bigint PRIMARY KEY, at timestamptz NOT NULL, kind text NOT NULL,
    actor uuid NOT NULL, payload jsonb NOT NULL);
INSERT INTO events SELECT n, '2021-01-01 00:00+00'::timestamptz + n * interval '61 s',
    (ARRAY['login', 'order', 'refund', 'visit'])[1 + n % 4], md5(n::text)::uuid,
    jsonb_build_object('user', n % 90000, 'ip', '10.0.' || n % 255 || '.' || n % 251, 'ok', n % 7 > 0,
        'amount', n / 7.0, 'items', jsonb_build_array(n, n + 1, md5((n * 3)::text)), 'agent', words(n, 6))
    FROM generate_series(1, {events}) AS n;
CREATE INDEX events_at ON events (at);
CREATE TABLE orders (id bigint PRIMARY KEY, customer bigint NOT NULL, state text NOT NULL,
    net numeric(12, 2) NOT NULL, tax numeric(12, 4) NOT NULL, weight double precision,
    ordered timestamptz NOT NULL, shipped timestamp, note text);
INSERT INTO orders SELECT n, n % 90000, (ARRAY['open', 'paid', 'gone'])[1 + n % 3], n * 1.37 % 9000,
    n * 0.2603 % 1700, CASE WHEN n % 5 > 0 THEN n / 13.0 END,
    '2019-01-01 00:00+00'::timestamptz + n * interval '97 s',
    CASE WHEN n % 2 > 0 THEN '2019-01-02'::timestamp + n * interval '97 s' END,
    CASE WHEN n % 4 = 0 THEN '' WHEN n % 4 = 1 THEN 'left with the neighbour ' || n END
    FROM generate_series(1, {orders}) AS n;
CREATE INDEX orders_customer ON orders (customer);
CREATE TABLE readings (sensor integer NOT NULL, at timestamptz NOT NULL, value real, good boolean);
INSERT INTO readings SELECT n % 500, '2024-01-01 00:00+00'::timestamptz + n * interval '3 s',
    (n * 31 % 9973) / 7.0, n % 11 > 0 FROM generate_series(1, {readings}) AS n;
CREATE INDEX readings_at ON readings (sensor, at);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A bench on large databases: what was asked for, and where it measures.

    Args:
        gigabytes: How large the databases become, about.
        count: How many rounds there are.
        server: A server of the bench's own.
        directory: Where files may lie.
        rounds: What was measured.
    """

    gigabytes: float
    count: int
    server: Server
    directory: Path
    rounds: Rounds = field(default_factory=Rounds)


@contextlib.contextmanager
def asked_for(summary: str) -> Iterator[Bench]:
    """Read the command line, and give the bench a server and a folder that go with it.

    Args:
        summary: The bench in one line, for ``--help``.
    """
    words = argparse.ArgumentParser(description=summary)
    words.add_argument("--gigabytes", type=float, default=1.0)
    words.add_argument("--rounds", type=int, default=3)
    given = words.parse_args()
    end_as_by_hand()
    with (
        tempfile.TemporaryDirectory(prefix="changeover-bench-") as directory,
        running_server(settings=SETTINGS) as server,
    ):
        yield Bench(
            gigabytes=given.gigabytes,
            count=given.rounds,
            server=server,
            directory=Path(directory),
        )


def store(server: Server, directory: Path, name: str) -> Store:
    """Return the backups of a database of that name, which is made empty, below ``directory``."""
    server.run(f"CREATE DATABASE {name}")
    directory.chmod(0o755)
    place = directory / "backups" / name
    place.mkdir(parents=True)
    reach = tools.Server(socket=str(server.directory), port=server.port)
    return Store(root=place, app=name, database=name, server=reach)


def fill(server: Server, name: str, gigabytes: float) -> int:
    """Make the tables in an empty database and return its bytes.

    Args:
        server: Where.
        name: The database.
        gigabytes: About how large it becomes.
    """
    server.run(WORDS, name)
    rows = {table: int(many * gigabytes) for table, many in ROWS.items()}
    for statement in TABLES.format_map(rows).split(";\n"):
        if statement.strip():
            server.run(statement, name)
    server.run("VACUUM ANALYZE", name)
    server.run("CHECKPOINT", name)
    return int(server.run("SELECT pg_database_size(current_database())", name)[0][0])

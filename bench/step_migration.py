"""Measure the onboarding app's step migration beside plain SQL that does the same work.

    bench/step_migration.py --rounds 3 --users 1523 100000

Each figure of ours is a request to the running app, a process of its own, until its answer is there: in
one transaction and chunk by chunk, with a new title and with a new weight, which makes every
percentage anew. Plain SQL is what it comes to without any care: copy and reset, percentages, the old
version ended, one transaction through psycopg. Rounds take turns, each on the same users; what is told
is the median of the ratios within a round. Red is one transaction of more than 1.3 times plain SQL,
fewer than 100 times the guide's 441 users a second where there are so many that this can be told, and
a process that grows with the number of users.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Run as a file, only its own folder would be searched.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.rounds import Rounds, end_as_by_hand, machine
from tests.apps.onboarding.desk import Desk, bring, serving
from tests.postgres.own_server import connect, fresh_shop, running_server

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    Session = psycopg.Connection[tuple[Any, ...]]

USERS = (1_523, 100_000, 1_000_000)
# The guide's own figures, and how often a user in it is done: 1,245 of 1,523.
GUIDES_USERS, GUIDES_MILLISECONDS = 1_523, 3_456
TIMES_THE_GUIDE, TIMES_PLAIN = 100, 1.3
DONE_OF_HUNDRED = 82
# A small migration is mostly the request; its users a second are told, not judged.
ENOUGH_TO_JUDGE = 100_000
GROWN_MIB = 16
SETTINGS = {"fsync": "on", "shared_buffers": "512MB", "max_wal_size": "8GB", "autovacuum": "off"}
TITLE: dict[str, object] = {"title": "Configure Payment Methods"}
PLAIN = (
    "UPDATE onboarding_steps SET active_to = now() WHERE step_id = 'payments' AND version = 1",
    """INSERT INTO onboarding_steps (step_id, version, title, weight)
    VALUES ('payments', 2, 'Configure Payment Methods', {weight})""",
    """INSERT INTO onboarding_progress (user_id, step_id, version, status, completed_at)
    SELECT user_id, step_id, 2, CASE status WHEN 'done' THEN 'done' ELSE 'todo' END,
           CASE status WHEN 'done' THEN completed_at END
    FROM onboarding_progress WHERE step_id = 'payments' AND version = 1""",
)
PLAIN_PERCENTAGES = """
    UPDATE onboarding_users u SET percent = n.percent, updated_at = now()
    FROM (SELECT p.user_id, round(100.0 * sum(s.weight) FILTER (WHERE p.status = 'done')
                                  / (SELECT sum(weight) FROM onboarding_steps WHERE active_to IS NULL)) AS percent
          FROM onboarding_progress p JOIN onboarding_steps s USING (step_id, version)
          WHERE s.active_to IS NULL GROUP BY p.user_id) n
    WHERE n.user_id = u.user_id AND n.percent <> u.percent"""
WEIGHTS = (30, 60)


@dataclass(frozen=True)
class Ways:
    """How the same users are taken to a new version.

    Args:
        desk: The app.
        plain: A session of the app's role.
        rounds: Where figures are noted.
    """

    desk: Desk
    plain: Session
    rounds: Rounds

    def measure(self, users: int) -> None:
        """Do it each way, each time with the tables as they were."""
        for what, data in (("title", TITLE), ("weight", {**TITLE, "weight": WEIGHTS[1]})):
            about = f"{users:,}, new {what}"
            one = {"newStepData": data, "chunkSize": 0}
            self.note(f"{about}: plain SQL", partial(self.by_sql, data))
            self.note(f"{about}: one transaction", partial(self.ask, users, **one))
            chunked = {"newStepData": data, "chunkSize": 10_000}
            self.note(f"{about}: chunks", partial(self.ask, users, **chunked))
        self.note(f"{users:,}, dry run", partial(self.ask, users, dryRun=True))

    def note(self, name: str, work: Callable[[], None]) -> None:
        """Note what one way takes, and take it back."""
        with connect(self.desk.shop.admin) as session:
            session.execute("CHECKPOINT")
        begun = time.perf_counter()
        work()
        self.rounds.note(name, time.perf_counter() - begun)
        undo(self.desk)

    def by_sql(self, data: dict[str, object]) -> None:
        """Do it by plain SQL."""
        weight = int(str(data.get("weight", WEIGHTS[0])))
        with self.plain.transaction():
            for statement in PLAIN:
                self.plain.execute(statement.format(weight=weight).encode())
            if weight != WEIGHTS[0]:
                self.plain.execute(PLAIN_PERCENTAGES)

    def ask(self, users: int, **asked: object) -> None:
        """Ask the app for it."""
        answer = self.desk.migrate(**asked)
        if answer.body.get("result", {}).get("usersAffected") != users:
            sys.exit(f"it was not done: {answer}")


def fill(desk: Desk, users: int) -> None:
    """Give so many users two steps, of which one is to move."""
    desk.step("payments", WEIGHTS[0])
    desk.step("theme", 70)
    with connect(desk.shop.admin) as session:
        session.execute(
            "INSERT INTO onboarding_users (user_id, role) SELECT 'u' || n, 'creator' FROM generate_series(1, %s::int) n",
            [users],
        )
        session.execute(
            """INSERT INTO onboarding_progress (user_id, step_id, version, status, completed_at)
            SELECT 'u' || n, step, 1, CASE WHEN n %% 100 < %s THEN 'done' ELSE 'todo' END, now()
            FROM generate_series(1, %s::int) n, unnest(ARRAY['payments', 'theme']) step
            WHERE step = 'payments' OR n %% 2 = 0""",
            [DONE_OF_HUNDRED, users],
        )
        session.execute(PLAIN_PERCENTAGES)
        session.execute("VACUUM (ANALYZE)")


def undo(desk: Desk) -> None:
    """Have the tables as they were, and as tidy."""
    with connect(desk.shop.admin) as session:
        session.execute("DELETE FROM onboarding_progress WHERE version = 2")
        session.execute("DELETE FROM onboarding_steps WHERE version = 2")
        session.execute("UPDATE onboarding_steps SET active_to = NULL")
        session.execute("TRUNCATE step_migrations, outbox")
        session.execute(PLAIN_PERCENTAGES)
        session.execute("VACUUM (ANALYZE)")


def resident(desk: Desk) -> tuple[float, float]:
    """Return how much memory the app has, and had at the most, in MiB."""
    lines = Path(f"/proc/{desk.process}/status").read_text().splitlines()
    found = dict(line.partition(":")[::2] for line in lines)
    now, peak = (int(found[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
    return now, peak


def main() -> int:
    """Measure, print, and return the exit code."""
    end_as_by_hand()
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--rounds", type=int, default=3, help="of the sizes below a million; of that, one"
    )
    parser.add_argument("--users", type=int, nargs="+", default=USERS)
    asked = parser.parse_args()
    print(machine(), flush=True)
    red: list[str] = []
    for users in asked.users:
        red += measured(users, asked.rounds if users < USERS[-1] else 1)
        print(machine(), flush=True)
    print("; ".join(red) or "no figure is red")
    return 1 if red else 0


def measured(users: int, count: int) -> list[str]:
    """Measure one size, print its tables, and return what is red."""
    rounds = Rounds()
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(running_server(settings=SETTINGS))
        shop = stack.enter_context(fresh_shop(server))
        folder = stack.enter_context(tempfile.TemporaryDirectory(dir="/tmp"))
        bring(shop)
        desk = stack.enter_context(serving(shop, Path(folder)))
        fill(desk, users)
        desk.ask("GET", "/health/db")
        before = resident(desk)[0]
        ways = Ways(desk, stack.enter_context(connect(shop.app)), rounds)
        for _ in range(count):
            ways.measure(users)
        peak = resident(desk)[1]
    red = []
    for what in ("title", "weight"):
        about = f"{users:,}, new {what}: "
        plain, one, chunks = (about + way for way in ("plain SQL", "one transaction", "chunks"))
        print(*rounds.table([plain, one, chunks], plain), sep="\n")
        for name in (one, chunks):
            speed = users / rounds.middle(name)
            times = speed / (GUIDES_USERS * 1000 / GUIDES_MILLISECONDS)
            print(f"  {name}: {speed:,.0f} users a second, {times:.0f} times the guide's")
            if users >= ENOUGH_TO_JUDGE and times < TIMES_THE_GUIDE:
                red.append(f"{name}: {times:.0f} times the guide's")
        if rounds.ratio(one, plain) > TIMES_PLAIN:
            red.append(f"{one}: {rounds.ratio(one, plain):.2f} times plain SQL")
    print(*rounds.table([f"{users:,}, dry run"], plain), sep="\n")
    print(f"  memory of the app: {before:.1f} MiB before, {peak:.1f} MiB at the most", flush=True)
    if peak - before > GROWN_MIB:
        red.append(f"{users:,}: the app grew by {peak - before:.0f} MiB")
    return red


if __name__ == "__main__":
    sys.exit(main())

"""The main job end to end, told as it goes: what was run, how long it took, what was lost."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from changeover import inventory, release
from changeover.runner.database import owner_database

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
APP = "nox-api"
USERS = 10_000
BROKEN_RELEASES = ROOT / "tests" / "releases"
LOAD_SECONDS = 900
OK = 200
LEAST_REQUESTS = 1000


@dataclass(slots=True)
class Job:
    """What was done so far."""

    env: str
    lines: list[tuple[str, float, int]] = field(default_factory=list)

    def run(self, *words: str, expected: int = 0, **environment: str) -> None:
        """Run one changeover command, and end the job where its exit code is another one."""
        if words[0] != "lab":
            words = (*words, "--env", self.env)
        typed = f"changeover {' '.join(words)}"
        print(f"\n$ {typed}", flush=True)
        begun = time.monotonic()
        code = subprocess.run(
            [ROOT / ".venv/bin/changeover", *words],
            env={**os.environ, **environment},
            cwd=ROOT,
            check=False,
        ).returncode
        self.lines.append((typed, time.monotonic() - begun, code))
        if code != expected:
            self.tell()
            sys.exit(f"{typed} ended with exit {code}, not {expected}")

    def tell(self) -> None:
        """Print every command with its time and exit code."""
        print("\nwhat was run")
        for typed, seconds, code in self.lines:
            print(f"  {seconds:7.1f} s  exit {code}  {typed}")


@contextlib.contextmanager
def database(env: str) -> Iterator[psycopg.Connection[Any]]:
    """Give a connection to the app's database as its owner."""
    environment = inventory.load(env, root=ROOT)
    with (
        owner_database(environment, release.load_app(ROOT, APP)) as place,
        psycopg.connect(**place.parameters()) as connection,  # type: ignore[arg-type]
    ):
        yield connection


def seed(env: str) -> None:
    """Write the users that must all be there at the end."""
    begun = time.monotonic()
    with database(env) as connection:
        connection.execute((ROOT / "apps" / APP / "seed.sql").read_text())
    print(f"\n{USERS} users written in {time.monotonic() - begun:.1f} s")


def begin_load(env: str, records: Path) -> subprocess.Popen[bytes]:
    """Start the load client: acknowledged writes, each recorded with its request id."""
    environment = inventory.load(env, root=ROOT)
    return subprocess.Popen(
        [
            sys.executable,
            *("-m", "changeover.load"),
            *("--address", environment.public_address),
            *("--name", environment.public_name(APP)),
            *("--ca", str(environment.tls.ca_certificate)),
            *("--rate", "50", "--seconds", str(LOAD_SECONDS)),
            *("--records", str(records)),
        ]
    )


def count_lost(env: str, records: Path) -> tuple[int, int, int]:
    """Return how many requests were sent, failed, and acknowledged without a row."""
    answers = [json.loads(line) for line in records.read_text().splitlines()]
    acknowledged = {entry["id"] for entry in answers if entry.get("status") == OK}
    with database(env) as connection:
        rows = connection.execute("SELECT request_id FROM authentication_logs").fetchall()
    written = {str(row[0]) for row in rows}
    return len(answers), len(answers) - len(acknowledged), len(acknowledged - written)


def count_users(env: str) -> int:
    """Return how many of the written users are there."""
    with database(env) as connection:
        row = connection.execute(
            "SELECT count(*) FROM users WHERE email LIKE 'user%@seed.test'"
        ).fetchone()
    return int(row[0]) if row else 0


def move(job: Job, records: Path) -> None:
    """Deploy, move under load, survive a broken release, and go back."""
    job.run("provision")
    job.run("deploy", "7.0.0", "--yes")
    seed(job.env)
    load = begin_load(job.env, records)
    try:
        time.sleep(3)
        job.run("deploy", "8.0.0", "--yes")
        job.run("smoke")
        job.run("deploy", "8.0.1", "--yes", expected=3, CHANGEOVER_RELEASES=str(BROKEN_RELEASES))
        job.run("status")
        job.run("rollback")
        job.run("smoke")
        time.sleep(2)
        if load.poll() is not None:
            sys.exit("the load ended by itself: nobody knows what users saw then")
    finally:
        load.terminate()
        load.wait(timeout=30)
    job.run("verify")


def main() -> None:
    """Run the main job."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--topology", default="single", choices=["single", "fleet"])
    parser.add_argument("--env", default="lab", help="an environment that is up already")
    arguments = parser.parse_args()
    job = Job(arguments.env)
    begun = time.monotonic()
    records = ROOT / "build" / f"load-{os.getpid()}.jsonl"
    records.parent.mkdir(exist_ok=True)
    if job.env == "lab":
        job.run("lab", "up", "--topology", arguments.topology)
    move(job, records)
    sent, failed, lost = count_lost(job.env, records)
    users = count_users(job.env)
    job.tell()
    print(f"\nrequests sent {sent}, failed {failed}, acknowledged writes without a row {lost}")
    print(f"users written {USERS}, users there {users}")
    print(f"all of it in {time.monotonic() - begun:.0f} s")
    if failed or lost or users != USERS or sent < LEAST_REQUESTS:
        sys.exit("something was lost")
    print("the lab is up: changeover status, changeover lab ssh host1; scripts/demo --down ends it")


if __name__ == "__main__":
    main()

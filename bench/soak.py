"""Deploy and roll back in turns under load, and hold what users saw of it to what is promised.

    scripts/soak --env lab                    20 deployments, 20 rollbacks, 500 POST a second, 100 WebSockets
    scripts/soak --env lab --rounds 2 --rate 50 --counts-only

Every round goes from a release to a sibling that is built from a copy of it, and back. The load is
sent without retries and counted from when each request was due. Red, with exit 1, where a request
failed, an acknowledged row is missing, a WebSocket ended without a close frame, or p99 around the
switches is not under its bound.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Run as a file, only its own folder would be searched.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import psycopg
from bench import soak_release, soak_times
from bench.rounds import machine

from changeover import inventory, release
from changeover.load import history, judgement
from changeover.release.reading import RELEASES_VARIABLE
from changeover.runner.database import owner_database

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parents[1]
APP, BASE = "nox-api", "8.0.0"
VERB_SECONDS = 900
# What the load may take to open its WebSockets, fifty a second, and to be as fast as asked for.
WARM_SECONDS = 5.0
MOST_SECONDS = 6 * 3600
# One that is asked for so shortly before a move may be taken before or after it.
HANDSHAKE_SECONDS = 10.0


@dataclass(slots=True, kw_only=True)
class Verb:
    """One deployment or rollback of the soak.

    Args:
        words: What was typed.
        begun: Seconds since 1970.
        ended: As ``begun``.
        cpu: Seconds of the controller's own CPU time, its children's among it.
        events: What it said under ``--json``.
    """

    words: str
    begun: float
    ended: float
    cpu: float
    events: list[dict[str, Any]]

    @property
    def steps(self) -> list[soak_times.Span]:
        """The steps it took, and when."""
        return soak_times.steps(self.words.split()[0], self.events)

    @property
    def move(self) -> judgement.Move:
        """When it moved users, and to which colour."""
        switch = next(span for span in self.steps if span.step in soak_times.SWITCHES)
        begin = next(each for each in self.events if each["type"] == "deployment-begin")
        return judgement.Move(begun=switch.begun, done=switch.ended, after=begin["after"])

    @property
    def before(self) -> str:
        """The colour that it left."""
        begin = next(each for each in self.events if each["type"] == "deployment-begin")
        return str(begin["before"])

    def as_json(self) -> dict[str, Any]:
        """Return what it cost, as plain JSON."""
        done = [each for each in self.events if each["type"] == "step-done"]
        end = next(each for each in self.events if each["type"] == "deployment-end")
        return {
            "words": self.words,
            "seconds": self.ended - self.begun,
            "reloads": self.figure("switch", "reloads") + self.figure("revert", "reloads"),
            "sessions": {each["step"]: each["sessions"] for each in done},
            "traffic": end["traffic"],
        }

    def figure(self, step: str, name: str) -> int:
        """Return a figure of one step's outcome; 0 where there is none."""
        done = (each for each in self.events if each["type"] == "step-done")
        return sum(int(e["figures"].get(name, 0)) for e in done if e["step"] == step)


@dataclass(slots=True, kw_only=True)
class Soak:
    """A soak under way."""

    env: str
    rounds: int
    rate: float
    websockets: int
    rest: float
    folder: Path
    verbs: list[Verb] = field(default_factory=list)

    @property
    def records(self) -> Path:
        """Where the load client writes what it did."""
        return self.folder / "load.jsonl"

    def run(self) -> None:
        """Bring the base up, and take the environment to its sibling and back under load."""
        sibling = soak_release.write(ROOT, self.folder / "releases", APP, BASE)
        self.verb("deploy", BASE, "--yes")
        self.verbs.clear()
        with self._load():
            for number in range(self.rounds):
                for words in (("deploy", sibling, "--yes"), ("rollback",)):
                    made = self.verb(*words)
                    took = made.ended - made.begun
                    told = f"{number + 1:>3}/{self.rounds}  {made.words:<20} {took:6.2f} s"
                    print(f"{told}  load {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)
                    time.sleep(self.rest)

    def verb(self, *words: str) -> Verb:
        """Run one command, and end the soak where it is not green."""
        before, begun = os.times(), time.time()
        done = subprocess.run(
            [sys.executable, "-m", "changeover", *words, "--json", "--env", self.env],
            cwd=ROOT,
            env={**os.environ, RELEASES_VARIABLE: str(self.folder / "releases")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=VERB_SECONDS,
            check=False,
        )
        ended, after = time.time(), os.times()
        if done.returncode != 0:
            said = f"{done.stdout}{done.stderr}"[-3000:]
            sys.exit(f"changeover {' '.join(words)}: exit {done.returncode}\n{said}")
        made = Verb(
            words=" ".join(word for word in words if word != "--yes"),
            begun=begun,
            ended=ended,
            cpu=sum(after[2:4]) - sum(before[2:4]),
            events=[json.loads(line) for line in done.stdout.splitlines()],
        )
        self.verbs.append(made)
        return made

    @contextlib.contextmanager
    def _load(self) -> Iterator[None]:
        place = inventory.load(self.env, root=ROOT)
        token = self.folder / "token"
        token.touch(mode=0o600)
        with self.database() as connection:
            token.write_text(soak_release.token(ROOT, place, APP, BASE, connection))
        words = [
            *(sys.executable, "-m", "changeover.load", "--address", place.public_address),
            *("--name", place.public_name(APP), "--ca", str(place.tls.ca_certificate)),
            *("--rate", f"{self.rate:g}", "--seconds", str(MOST_SECONDS), "--connections", "64"),
            *("--websockets", str(self.websockets), "--token-file", str(token)),
            *("--records", str(self.records)),
        ]
        client = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL)
        try:
            time.sleep(WARM_SECONDS)
            yield
            time.sleep(self.rest)
            if client.poll() is not None:
                sys.exit("the load ended by itself: nobody knows what users saw then")
        finally:
            token.unlink()
            client.send_signal(signal.SIGTERM)
            client.wait(timeout=60)

    @contextlib.contextmanager
    def database(self) -> Iterator[psycopg.Connection[Any]]:
        """Give a connection to the app's database as its owner."""
        place = inventory.load(self.env, root=ROOT)
        with (
            owner_database(place, release.load_app(ROOT, APP)) as owner,
            psycopg.connect(**owner.parameters()) as connection,  # type: ignore[arg-type]
        ):
            yield connection

    @property
    def moves(self) -> list[judgement.Move]:
        """When users were moved, in order."""
        return [verb.move for verb in self.verbs]

    def judged(self) -> judgement.Judgement:
        """Judge what the load client recorded, with the rows that are there."""
        with self.database() as connection:
            rows = connection.execute("SELECT request_id FROM authentication_logs").fetchall()
        found = history.read(self.records)
        judged = judgement.judge(
            found,
            before=self.verbs[0].before,
            moves=self.moves,
            rows=[str(row[0]) for row in rows],
        )
        if wrong := misplaced(found.sockets, self.moves):
            judged.findings.append(f"WebSockets taken by a release that did not serve: {wrong}")
        return judged


def misplaced(sockets: Sequence[history.Socket], moves: Sequence[judgement.Move]) -> int:
    """Count the WebSockets that were asked for after a move and taken by another release.

    Their socket is another one than that of requests, and both move with one rename.
    """
    wrong = 0
    for move, following in itertools.zip_longest(moves, moves[1:]):
        until = following.begun - HANDSHAKE_SECONDS if following else float("inf")
        asked = (each for each in sockets if move.done < each.start < until)
        wrong += sum(each.release not in {None, move.after} for each in asked)
    return wrong


def told(soak: Soak, found: judgement.Judgement, requests: soak_times.Requests) -> list[str]:
    """Return what was found, a line each."""
    backs = [verb for verb in soak.verbs if verb.words.startswith("rollback")]
    forths = [verb for verb in soak.verbs if verb not in backs]
    reloads = sum(
        verb.figure(step, "reloads") for verb in soak.verbs for step in ("switch", "revert")
    )
    slowest = max(
        verb.figure(step, "switch_us") for verb in soak.verbs for step in ("switch", "revert")
    )
    ended = ", ".join(f"{count} with {code}" for code, count in sorted(found.closes.items()))
    return [
        f"deployments {len(forths)}, rollbacks {len(backs)}, reloads of Nginx {reloads}",
        f"slowest rename on a host {slowest / 1000:.1f} ms",
        f"requests {found.requests}, acknowledged {found.acknowledged}, rows of them {found.rows}",
        f"WebSockets {found.sockets}, ended by the server: {ended or 'none'}",
        *soak_times.verbs("deploy", [(v.begun, v.ended, v.events, v.cpu) for v in forths]),
        *soak_times.verbs("rollback", [(v.begun, v.ended, v.events, v.cpu) for v in backs]),
        "",
        *soak_times.table(requests, [span for verb in soak.verbs for span in verb.steps]),
    ]


def main() -> None:
    """Soak, tell, judge."""
    parser = argparse.ArgumentParser(
        prog="scripts/soak", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--env", default="lab")
    parser.add_argument("--rounds", type=int, default=20, help="deployments, and as many rollbacks")
    parser.add_argument("--rate", type=float, default=500.0, help="POST requests a second")
    parser.add_argument("--websockets", type=int, default=100)
    parser.add_argument("--rest", type=float, default=2.0, help="seconds between two of them")
    parser.add_argument("--p99", type=float, default=250.0, help="bound around switches, in ms")
    parser.add_argument("--counts-only", action="store_true", help="judge no times")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "soak")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    before = machine()
    soak = Soak(
        env=asked.env,
        rounds=asked.rounds,
        rate=asked.rate,
        websockets=asked.websockets,
        rest=asked.rest,
        folder=asked.folder.resolve(),
    )
    soak.run()
    found, requests = soak.judged(), soak_times.read(soak.records)
    findings = list(found.findings)
    around = requests.around([span for verb in soak.verbs for span in verb.steps])
    if not asked.counts_only and around.p99 >= asked.p99:
        findings.append(f"p99 around switches is {around.p99:.0f} ms, not under {asked.p99:g} ms")
    print(before, machine(), "", *told(soak, found, requests), sep="\n")
    verbs = [verb.as_json() for verb in soak.verbs]
    summary = {"judgement": found.as_json(), "around_switches": asdict(around), "verbs": verbs}
    (soak.folder / "summary.json").write_text(json.dumps({**summary, "findings": findings}))
    if findings:
        sys.exit("\n".join(["", "red:", *(f"  {each}" for each in findings)]))
    print("\ngreen: nothing failed, nothing was lost, every WebSocket ended with a close frame")


if __name__ == "__main__":
    main()

"""Time the verbs on an environment that is up, and print each figure beside a measure of the machine.

    bench/figures.py --env lab --reset seven --runs 5

The measures are taken in the same run: one SSH command by OpenSSH, one module by Ansible. A ratio to
them says more than seconds do, since machines and their load differ. With ``--reset`` every
deployment begins from that snapshot of the lab, which has 7.0.0 live; without it only the first one
places the release and migrates, and is a figure of its own. Deploy and rollback are run in turns,
so the environment is left with 7.0.0 live.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Run as a file, only its own folder would be searched.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.rounds import machine

from changeover import inventory

ROOT = Path(__file__).resolve().parents[1]
CHANGEOVER = [sys.executable, "-m", "changeover"]
FIRST, AGAIN, BACK = (
    "deploy 7.0.0 -> 8.0.0",
    "deploy 7.0.0 -> 8.0.0, placed",
    "rollback 8.0.0 -> 7.0.0",
)
SWITCHED_BACK = "of it until users are back"
PROVED_BACK = "of it until that is proved"
SSH, ANSIBLE = "ssh HOST true", "ansible HOST -m ping"
AIMS = {"changeover --help": 0.3, FIRST: 30.0, PROVED_BACK: 2.0}


@dataclass(slots=True)
class Figures:
    """What was measured, in seconds, run by run.

    Args:
        taken: Seconds by what took them.
        steps: Seconds by step, of the deployments that placed the release.
    """

    taken: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    steps: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def note(self, name: str, seconds: float) -> None:
        """Take a figure down, and tell it, since a whole run takes minutes."""
        self.taken[name].append(seconds)
        print(f"{name}: {seconds:.2f} s", file=sys.stderr, flush=True)

    def table(self) -> list[str]:
        """Return a line a figure: how often, median and spread, its aim, multiples of the measures."""
        ssh, ansible = (statistics.median(self.taken[name]) for name in (SSH, ANSIBLE))
        lines = [f"{'':<34} {'n':>2} {'median':>8} {'min':>7} {'max':>7}    aim   x ssh  x ansible"]
        for name, seconds in self.taken.items():
            middle = statistics.median(seconds)
            aim = f"{AIMS[name]:g}" if name in AIMS else ""
            lines.append(
                f"{name:<34} {len(seconds):>2} {middle:8.2f} {min(seconds):7.2f} {max(seconds):7.2f}"
                f" {aim:>6} {middle / ssh:7.1f} {middle / ansible:10.1f}"
            )
        return lines

    def parts(self) -> list[str]:
        """Return a line a step of a deployment: where its seconds go."""
        lines = [f"{'of ' + FIRST:<34} {'n':>2} {'median':>8} {'min':>7} {'max':>7}"]
        for name, seconds in self.steps.items():
            lines.append(
                f"  {name:<32} {len(seconds):>2} {statistics.median(seconds):8.2f}"
                f" {min(seconds):7.2f} {max(seconds):7.2f}"
            )
        return lines


def timed(command: list[str], env: dict[str, str] | None = None) -> tuple[float, str]:
    """Run a command to its end; return the seconds it took and what it printed.

    Raises:
        SystemExit: It failed; its last words are printed.
    """
    begun = time.monotonic()
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        sys.exit(
            f"{' '.join(command)}: exit {done.returncode}\n{(done.stdout + done.stderr)[-2000:]}"
        )
    return time.monotonic() - begun, done.stdout


def measures(env: str) -> tuple[list[str], list[str], dict[str, str]]:
    """Return the commands of OpenSSH and of Ansible against the first app host."""
    place = inventory.load(env, root=ROOT)
    host = place.hosts_in("app")[0]
    options = str(host.variables["ansible_ssh_common_args"]).split()
    key = str(host.variables["ansible_ssh_private_key_file"])
    user = str(host.variables.get("ansible_user", "root"))
    ssh = ["ssh", *options, "-i", key, f"{user}@{host.address}", "true"]
    hosts = str(place.directory / "hosts.yml")
    program = str(Path(sys.executable).parent / "ansible")
    password = str(place.variables.get("changeover_vault_password_file", ""))
    environment = {"ANSIBLE_VAULT_PASSWORD_FILE": password} if password else {}
    return ssh, [program, "-i", hosts, host.name, "-m", "ansible.builtin.ping"], environment


def steps_of(printed: str) -> dict[str, float]:
    """Return the seconds between each step's intent and its outcome."""
    events: list[dict[str, Any]] = [json.loads(line) for line in printed.splitlines()]
    begun: dict[str, dt.datetime] = {}
    found: dict[str, float] = {}
    for event in events:
        if event["type"] == "step-intent":
            begun[event["step"]] = dt.datetime.fromisoformat(event["at"])
        elif event["type"] == "step-done":
            ended = dt.datetime.fromisoformat(event["at"])
            found[event["step"]] = (ended - begun[event["step"]]).total_seconds()
    return found


def done_at(printed: str, step: str) -> dt.datetime:
    """Return when a step was done."""
    events = [json.loads(line) for line in printed.splitlines()]
    done = (each for each in events if each["type"] == "step-done" and each["step"] == step)
    return dt.datetime.fromisoformat(next(done)["at"])


def measure(env: str, runs: int, reset: str | None) -> Figures:
    """Measure, and give what was found."""
    figures = Figures()
    ssh, ansible, variables = measures(env)

    def verb(*words: str) -> tuple[float, str]:
        return timed([*CHANGEOVER, *words, "--env", env])

    if not reset:
        verb("deploy", "7.0.0", "--yes")
    for number in range(runs):
        if reset:
            timed([*CHANGEOVER, "lab", "reset", reset])
        for name, command, environment in (
            (SSH, ssh, {}),
            (ANSIBLE, ansible, variables),
            ("changeover --help", [*CHANGEOVER, "--help"], {}),
        ):
            figures.note(name, timed(command, environment)[0])
        figures.note("changeover status", verb("status")[0])
        figures.note("provision, nothing to change", verb("provision")[0])
        figures.note("deploy, nothing to change", verb("deploy", "7.0.0", "--yes")[0])
        seconds, printed = verb("deploy", "8.0.0", "--yes", "--json")
        placing = reset is not None or number == 0
        figures.note(FIRST if placing else AGAIN, seconds)
        if placing:
            steps = steps_of(printed)
            for step, taken in steps.items():
                figures.steps[step].append(taken)
            figures.steps["plan, and between the steps"].append(seconds - sum(steps.values()))
        begun = dt.datetime.now(dt.UTC)
        seconds, printed = verb("rollback", "--json")
        figures.note(BACK, seconds)
        for name, step in ((SWITCHED_BACK, "revert"), (PROVED_BACK, "smoke")):
            figures.note(name, (done_at(printed, step) - begun).total_seconds())
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--env", default="lab")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--reset", help="the lab's snapshot that each run begins from")
    asked = parser.parse_args()
    print(machine(), flush=True)
    figures = measure(asked.env, asked.runs, asked.reset)
    print(machine(), "", *figures.table(), "", *figures.parts(), sep="\n")


if __name__ == "__main__":
    main()

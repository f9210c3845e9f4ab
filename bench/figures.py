"""Time the verbs on an environment that is up, and print each figure beside a measure of the machine.

    bench/figures.py --env lab

The measures are taken in the same run: one SSH command by OpenSSH, one module by Ansible. A ratio to
them says more than seconds do, since machines and their load differ. The environment is left with
7.0.0 live. Deploy and rollback are run in turns, so that each starts from the same state.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from changeover import inventory

ROOT = Path(__file__).resolve().parents[1]
CHANGEOVER = [sys.executable, "-m", "changeover"]


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured, in seconds, run by run."""

    name: str
    seconds: list[float]

    def line(self, ssh: float, ansible: float) -> str:
        """Return minimum, median and maximum, and the median as multiples of the measures."""
        middle = statistics.median(self.seconds)
        return (
            f"{self.name:<34} {min(self.seconds):7.2f} {middle:7.2f} {max(self.seconds):7.2f} s"
            f"   {middle / ssh:7.1f} x ssh   {middle / ansible:6.1f} x ansible"
        )


def timed(command: list[str], env: dict[str, str]) -> float:
    """Run a command to its end and return the seconds it took.

    Raises:
        SystemExit: It failed; its last words are printed.
    """
    begun = time.monotonic()
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr[-2000:]}")
    return time.monotonic() - begun


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


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--env", default="lab")
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    ssh, ansible, variables = measures(asked.env)

    def verb(*words: str) -> float:
        return timed([*CHANGEOVER, *words, "--env", asked.env], {})

    verb("deploy", "7.0.0", "--yes")
    collected: dict[str, list[float]] = {}
    for _ in range(asked.runs):
        taken = {
            "ssh HOST true": timed(ssh, {}),
            "ansible HOST -m ping": timed(ansible, variables),
            "changeover --help": timed([*CHANGEOVER, "--help"], {}),
            "changeover status": verb("status"),
            "provision, nothing to change": verb("provision"),
            "deploy, nothing to change": verb("deploy", "7.0.0", "--yes"),
            "deploy 7.0.0 -> 8.0.0": verb("deploy", "8.0.0", "--yes"),
            "rollback 8.0.0 -> 7.0.0": verb("rollback"),
        }
        for name, seconds in taken.items():
            collected.setdefault(name, []).append(seconds)
    figures = [Figure(name, seconds) for name, seconds in collected.items()]
    base = [statistics.median(figure.seconds) for figure in figures[:2]]
    print(f"{'':<34} {'min':>7} {'median':>7} {'max':>7}     of {asked.runs} runs")
    for figure in figures:
        print(figure.line(*base))


if __name__ == "__main__":
    main()

"""The command line as a user meets it: help, exit codes, and words on the right stream."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from changeover.cli.application import VERBS

CHECKOUT = Path(__file__).resolve().parents[3]


def changeover(*words: str, cwd: Path = CHECKOUT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "changeover", *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def test_help_names_every_verb_and_imports_no_engine() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "changeover", "--help"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    for verb in VERBS:
        assert verb.name in done.stdout
    for engine in ("psycopg", "fabric", "requests", "pyinfra", "ansible", "pydantic"):
        assert f" {engine}\n" not in done.stderr


@pytest.mark.parametrize("verb", [verb.name for verb in VERBS])
def test_every_verb_tells_its_own_help(verb: str) -> None:
    done = changeover(verb, "--help")

    assert done.returncode == 0, done.stderr
    assert f"changeover {verb}" in done.stdout


@pytest.mark.parametrize(
    "words",
    [
        ("fly",),
        ("deploy",),
        ("deploy", "8.0.0", "--fast"),
        ("deploy", "8.0.0", "--env", "nowhere"),
    ],
)
def test_what_cannot_be_understood_ends_with_exit_2(words: tuple[str, ...]) -> None:
    assert changeover(*words).returncode == 2


def test_an_unknown_environment_is_named_with_those_that_there_are() -> None:
    done = changeover("status", "--env", "exampel")

    assert done.returncode == 2
    assert "there is no environment exampel" in done.stderr
    assert "example" in done.stderr
    assert done.stdout == ""


def test_with_json_a_failure_is_an_object_after_the_version() -> None:
    done = changeover("status", "--env", "nowhere", "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]

    assert [line["type"] for line in lines] == ["version", "error"]
    assert lines[1]["exit"] == done.returncode == 2
    assert lines[1]["next"]


def test_an_interrupt_ends_with_exit_130_and_says_what_to_do() -> None:
    program = (
        "import os, signal, changeover.cli.application as a\n"
        "a.application = lambda typed: lambda: os.kill(os.getpid(), signal.SIGTERM)\n"
        "import typer, sys\n"
        "def verb(): os.kill(os.getpid(), signal.SIGTERM)\n"
        "app = typer.Typer(); app.command()(verb)\n"
        "a.application = lambda typed: app\n"
        "sys.argv = ['changeover']\n"
        "a.run()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 128 + signal.SIGINT
    assert "changeover status" in done.stderr

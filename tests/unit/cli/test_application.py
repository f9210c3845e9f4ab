"""The command line as a user meets it: help, exit codes, and words on the right stream."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main

from changeover.cli.application import VERBS, application

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


def every_command() -> list[str]:
    """Return the words of every command: ``deploy``, ``backup create``."""
    found: list[str] = []
    for verb in VERBS:
        root: Any = typer.main.get_command(application(verb.name))
        inner = getattr(root.commands[verb.name], "commands", None)
        found += [verb.name] if inner is None else [f"{verb.name} {name}" for name in inner]
    return found


@pytest.mark.parametrize("words", every_command())
def test_with_json_what_cannot_be_understood_is_an_object_too(words: str) -> None:
    done = changeover(*words.split(), "--fast", "--json")
    version, error = (json.loads(line) for line in done.stdout.splitlines())

    assert version["type"] == "version"
    assert (error["type"], error["exit"], done.returncode) == ("error", 2, 2)
    assert error["next"]
    # what is run on a host has options of its own
    if words != "lab ssh":
        assert error["error"] == "Misused"
        assert error["message"].startswith("no such option: --fast")
        assert error["next"] == f"changeover {words} --help"


@pytest.mark.parametrize(
    ("words", "said", "follow"),
    [
        (("fly",), "no such command 'fly'", "changeover --help"),
        (("deplay",), "did you mean 'deploy'", "changeover --help"),
        (("backup", "list", "now"), "unexpected extra argument", "changeover backup list"),
        (("lock", "steal"), "missing option '--reason'", "changeover lock steal --help"),
        (("backup", "prune", "--keep", "none"), "invalid value for '--keep'", "backup prune"),
    ],
)
def test_a_slip_is_named_with_where_to_read(words: tuple[str, ...], said: str, follow: str) -> None:
    done = changeover(*words, "--json")
    error = json.loads(done.stdout.splitlines()[-1])

    assert said in error["message"].lower()
    assert follow in error["next"]
    assert done.stderr.startswith(f"error: {error['message']}\n  next:  ")


def test_with_json_the_last_object_of_what_went_well_has_the_exit_code() -> None:
    done = changeover("db", "lint", "apps/nox-api/releases/8.0.0/migrations", "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]

    assert lines[-1] == {"type": "end", "exit": done.returncode}


@pytest.mark.parametrize(
    "words", [("env", "diff", "7.0.0", "8.0.0", "--env", "example"), ("--help",)]
)
def test_a_reader_that_leaves_is_no_failure_to_speak_of(words: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "changeover", *words],
        cwd=CHECKOUT,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(writer)

    assert done.returncode == (1 if words == ("--help",) else 0)
    assert "rror" not in done.stderr


@pytest.mark.parametrize("number", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_an_interrupt_ends_with_exit_130_and_says_what_to_do(number: str) -> None:
    program = (
        "import os, signal, changeover.cli.application as a\n"
        "import typer, sys\n"
        # where the tests run in the background, a shell had these ignored
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
        f"def verb(): os.kill(os.getpid(), signal.{number})\n"
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


def test_the_lab_tells_its_failures_as_every_verb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHANGEOVER_LAB_STATE", str(tmp_path))
    done = changeover("lab", "reset", "never-kept", "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]

    assert [line["type"] for line in lines] == ["version", "error"]
    assert lines[-1]["exit"] == done.returncode == 2


def test_the_faults_of_drills_are_shown_without_an_environment() -> None:
    done = changeover("drill", "--list", "--env", "nowhere")

    assert done.returncode == 0, done.stderr
    assert "kill-after-switch" in done.stdout

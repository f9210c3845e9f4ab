"""What a command does when nobody listens any more, and what its secrets do to its stream."""

from __future__ import annotations

import errno
import json
import os
import pty
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import pytest

from changeover.cli.output import Output, OutputUnwritten
from changeover.cli.stream import put
from changeover.errors import Failed
from changeover.secret import Redactor, Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

STEP = {"type": "step-intent", "step": "switch", "says": "send users to it"}


@pytest.fixture
def hung_up() -> Iterator[TextIO]:
    """Yield a terminal whose other side is gone."""
    controller, terminal = pty.openpty()
    with os.fdopen(terminal, "w") as stream:
        os.close(controller)
        yield stream


@pytest.fixture
def full() -> Iterator[TextIO]:
    """Yield a file on a disk that is full."""
    stream = Path("/dev/full").open("w")  # noqa: SIM115 - what it still holds cannot be written
    yield stream
    stream.close()


def test_a_terminal_that_hung_up_swallows_the_rest(hung_up: TextIO) -> None:
    first = put(hung_up, "one\n")

    assert first is not None
    assert first.errno == errno.EIO
    assert put(hung_up, "two\n") is None


def test_a_run_goes_on_when_its_terminal_hangs_up(
    hung_up: TextIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, hung_up)
    output = Output()

    output.event({"type": "deployment-begin", "command": "deploy", "steps": ["switch"]})
    output.event(STEP)
    output.note("a line")
    output.event({"type": "deployment-end", "outcome": "done", "exit": 0})
    output.end("3.0.0 serves")
    output.finish()


def test_a_result_that_does_not_fit_is_a_failure_and_progress_is_not(
    full: TextIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = Output()
    monkeypatch.setattr(sys, "stderr", full)
    output.note("progress")
    output.finish()

    monkeypatch.setattr(sys, "stdout", Path("/dev/full").open("w"))  # noqa: SIM115 - as above
    output.data({"type": "release"}, text="8.0.0")
    with pytest.raises(OutputUnwritten, match="could not be written") as caught:
        output.finish()
    assert caught.value.cause == "[Errno 28] No space left on device"
    sys.stdout.close()


@pytest.mark.parametrize("secret", ["true", "null", "5432", '"exit"', "note"])
def test_a_secret_that_looks_like_json_leaves_the_stream_readable(
    capsys: pytest.CaptureFixture[str], secret: str
) -> None:
    output = Output(json_lines=True, redactor=Redactor([Secret(secret)]))

    output.event({"type": "step-done", "changed": True, "bytes": 154321, "host": None, "exit": 0})
    output.event({"type": "note", "says": f"it is {secret}", "path": Path("/true/5432")})

    version, done, note = map(json.loads, capsys.readouterr().out.splitlines())
    assert [version["type"], done["type"], note["type"]] == ["version", "step-done", "note"]
    assert (done["changed"], done["bytes"], done["host"], done["exit"]) == (True, 154321, None, 0)
    assert note["says"] == "it is [REDACTED]"


def test_a_failure_s_cause_shows_no_line_of_a_secret(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(redactor=Redactor([Secret("one\ntwo\nthree")]))

    output.error(Failed("it failed", hint="look", cause="it said:\none\ntwo\nthree\nthe end"))

    said = capsys.readouterr().err.splitlines()
    assert [line.strip() for line in said[1:4]] == ["cause: it said:", "[REDACTED]", "the end"]

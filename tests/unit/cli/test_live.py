"""A run on a real terminal: what is on the screen meanwhile, what stays, and how it is left."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from changeover.cli.live import Scene

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROGRAM = """
import sys, time
import typer
import changeover.cli.application as command_line
from changeover.cli.desk import output_of
from changeover.secret import Secret

def deploy(json: bool = typer.Option(False, "--json")):
    output = output_of(json_lines=json)
    output.redactor.add(Secret("hunter2-hunter2"))
    output.note("plan shop on lab: 1.0.0 -> 2.0.0")
    output.event({"type": "deployment-begin", "command": "deploy", "app": "shop",
                  "before": "1.0.0", "after": "2.0.0", "steps": ["lock", "backfill", "switch"]})
    output.event({"type": "step-intent", "step": "lock", "says": "take the lease", "hosts": []})
    output.event({"type": "step-done", "step": "lock", "says": "held on 2 hosts"})
    output.event({"type": "step-intent", "step": "backfill", "hosts": ["app1", "app2"],
                  "says": "run the pending migrations, which are many and have long names"})
    output.event({"type": "warning", "says": "warning: a certificate expires in 20 days"})
    output.event({"type": "canary", "says": "25% of the clients: new colour no request"})
    output.event({"type": "batch", "says": "002_currency: 500 of about 900 rows, hunter2-hunter2"})
    output.event({"type": "host-progress", "host": "app2", "message": "waits for its health"})
    input()
    output.event({"type": "step-done", "step": "backfill", "says": "2 migrations"})
    output.event({"type": "deployment-end", "exit": 0})
    output.end("2.0.0 serves")

app = typer.Typer()
app.command()(deploy)
command_line.application = lambda typed: app
command_line.run()
"""
CONTROL = re.compile(r"\x1b\[(\d*)([A-Za-z])")


@dataclass
class Terminal:
    """A terminal with a program on it; ``screen`` is what a person sees."""

    leader: int
    process: subprocess.Popen[bytes]
    width: int
    received: str = ""
    lines: list[str] = field(default_factory=lambda: [""])
    row: int = 0
    column: int = 0

    def see(self, until: Callable[[str], bool], seconds: float = 20) -> str:
        """Read until the screen is as wanted, and return it."""
        ends = time.monotonic() + seconds
        while not until(self.screen) and time.monotonic() < ends:
            if not self._read():
                break
        return self.screen

    def leave(self) -> tuple[int, str]:
        """Read to the end; return the exit code and the last screen."""
        while self._read():
            pass
        return self.process.wait(20), self.screen

    @property
    def screen(self) -> str:
        return "\n".join(line.rstrip() for line in self.lines).rstrip()

    def type(self, keys: bytes) -> None:
        os.write(self.leader, keys)

    def _read(self) -> bool:
        if not select.select([self.leader], [], [], 20)[0]:
            return False
        with contextlib.suppress(OSError):
            if new := os.read(self.leader, 65536):
                text = new.decode()
                self.received += text
                self._show(text)
                return True
        return False

    def _show(self, text: str) -> None:
        while text:
            found = CONTROL.match(text)
            if found:
                self._control(found[2], int(found[1] or 1), found[1])
                text = text[found.end() :]
                continue
            character, text = text[0], text[1:]
            if character == "\n":
                self.row += 1
            elif character == "\r":
                self.column = 0
            elif character >= " ":
                self._put(character)
            while len(self.lines) <= self.row:
                self.lines.append("")

    def _put(self, character: str) -> None:
        if self.column == self.width:
            self.row, self.column = self.row + 1, 0
            self.lines += [""] * (self.row + 1 - len(self.lines))
        line = self.lines[self.row].ljust(self.column)
        self.lines[self.row] = line[: self.column] + character + line[self.column + 1 :]
        self.column += 1

    def _control(self, what: str, many: int, written: str) -> None:
        if what == "A":
            self.row -= many
        elif what == "K":
            assert written == "2"
            self.lines[self.row] = ""
        else:
            assert what == "m", f"the terminal is told {what}"


@contextlib.contextmanager
def terminal(width: int = 100, *words: str, **variables: str) -> Iterator[Terminal]:
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    modes = termios.tcgetattr(follower)
    modes[3] &= ~termios.ECHO
    termios.tcsetattr(follower, termios.TCSANOW, modes)
    kept = {
        name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "COLUMNS"}
    }
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *words],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env={**kept, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **variables},
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - one thread
    )
    os.close(follower)
    try:
        yield Terminal(leader, process, width)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        os.close(leader)


def drawn(screen: str) -> bool:
    return "waits for its health" in screen


def test_the_screen_shows_what_goes_on_and_what_comes() -> None:
    with terminal() as one:
        screen = one.see(drawn)

    assert "ok  lock       held on 2 hosts" in screen
    assert re.search(r"backfill +\d+ s  run the pending migrations", screen)
    assert "002_currency: 500 of about 900 rows" in screen
    assert re.search(r"app2 +waits for its health", screen)
    assert "then switch" in screen
    assert re.search(r"step 2 of 3, \d+ s  deploy shop: 1\.0\.0 -> 2\.0\.0", screen)
    assert "hunter2" not in one.received


def test_seconds_go_by_while_nothing_is_said() -> None:
    with terminal() as one:
        one.see(drawn)
        screen = one.see(lambda seen: re.search(r"backfill +[2-9] s", seen) is not None)

    assert re.search(r"backfill +[2-9] s", screen)


def test_plain_lines_stay_when_it_is_over() -> None:
    with terminal() as one:
        one.see(drawn)
        one.type(b"\n")
        code, screen = one.leave()

    lines = [re.sub(r"\(\d\.\d s\)", "(T)", line) for line in screen.splitlines() if line]
    assert code == 0
    assert lines == [
        "plan shop on lab: 1.0.0 -> 2.0.0",
        "ok  lock       held on 2 hosts (T)",
        "    warning: a certificate expires in 20 days",
        "ok  backfill   2 migrations (T)",
        "2.0.0 serves",
    ]


def test_on_a_narrow_terminal_nothing_drawn_is_wider() -> None:
    with terminal(60) as one:
        screen = one.see(drawn)
        one.type(b"\n")
        _, left = one.leave()

    going = next(line for line in screen.splitlines() if re.search(r"backfill +\d+ s", line))
    assert going.endswith("…")
    assert len(going) == 60
    assert "then switch" not in left
    assert "ok  backfill   2 migrations" in left


def test_ctrl_c_leaves_the_terminal_as_it_was() -> None:
    with terminal() as one:
        one.see(drawn)
        before = termios.tcgetattr(one.leader)
        one.type(b"\x03")
        code, screen = one.leave()

        assert termios.tcgetattr(one.leader) == before
    assert code == 128 + signal.SIGINT
    assert "then switch" not in screen
    assert screen.endswith("error: interrupted\n  next:  changeover status shows what is live")
    assert one.column == 0
    assert "\x1b[?" not in one.received


def test_without_colour_nothing_is_styled_and_the_view_still_moves() -> None:
    with terminal(NO_COLOR="1") as one:
        one.see(drawn)
        one.type(b"\n")
        one.leave()

    assert not re.search(r"\x1b\[[\d;]*m", one.received)
    assert "\x1b[2K" in one.received


@pytest.mark.parametrize("kind", ["dumb", ""])
def test_a_terminal_that_cannot_move_its_cursor_gets_plain_lines(kind: str) -> None:
    with terminal(TERM=kind) as one:
        one.see(lambda seen: "500 of about 900 rows" in seen)
        one.type(b"\n")
        code, screen = one.leave()

    assert code == 0
    assert "\x1b" not in one.received
    assert "    002_currency: 500 of about 900 rows" in screen


def test_json_on_a_terminal_is_json_alone() -> None:
    with terminal(200, "--json") as one:
        one.see(drawn)
        one.type(b"\n")
        code, _ = one.leave()

    assert code == 0
    assert "\x1b" not in one.received
    assert '{"type": "deployment-end", "exit": 0}' in one.received


def test_steps_that_are_known_once_a_rollback_has_begun_are_among_those_to_come() -> None:
    scene = Scene(began=0.0)
    scene.take({"type": "deployment-begin", "steps": ["lock", "revert", "smoke"]}, 0.0)
    scene.take({"type": "step-intent", "step": "lock"}, 0.0)

    scene.take({"type": "way-back", "steps": ["lock", "undo", "revert", "smoke"]}, 0.0)

    assert (scene.steps, scene.count) == (["undo", "revert", "smoke"], 4)

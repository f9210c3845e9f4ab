"""The live view on a terminal: what is done scrolls by, what goes on is drawn below it.

The cursor stays visible and nothing of the terminal is set, so that there is nothing to put back
when the process ends, however it ends.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from changeover import report
from changeover.cli.stream import Enduring

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from rich.console import OverflowMethod

Event = dict[str, Any]
Line = tuple[str, str]

FRAMES = ("   ", ".  ", ".. ", "...")
FRAMES_A_SECOND = 4
HOSTS_SHOWN = 8


@dataclass(slots=True)
class Scene:
    """What goes on at this moment, as the events tell it.

    Args:
        began: When the view began, in seconds of the monotonic clock.
        title: What is moved, from where to where.
        steps: The ids of the plan's steps that were not begun yet.
        count: How many steps the plan has.
        step: The step that goes on, and what it does.
        hosts: The latest word of each host of the step.
        latest: The latest word of what comes from no host.
    """

    began: float
    title: str = ""
    steps: list[str] = field(default_factory=list)
    count: int = 0
    step: str = ""
    says: str = ""
    step_began: float = 0.0
    hosts: dict[str, str] = field(default_factory=dict)
    latest: str = ""

    def take(self, event: Event, now: float) -> None:
        """Take one event in."""
        kind = event.get("type")
        if kind == "deployment-begin":
            way = report.way(event)
            self.title = f"{event.get('command')} {event.get('app')}" + (f": {way}" if way else "")
            self.steps = [str(name) for name in event.get("steps", ())]
            self.count = len(self.steps)
        elif kind == "way-back" and "steps" in event:
            # What a rollback undoes is known once it has begun: after its first step.
            self.steps = [str(name) for name in event["steps"]][1:]
            self.count = len(self.steps) + 1
        elif kind == "step-intent":
            self.step, self.says = str(event["step"]), str(event.get("says", ""))
            self.step_began, self.latest = now, ""
            self.hosts = dict.fromkeys((str(name) for name in event.get("hosts", ())), "")
            self.steps = [name for name in self.steps if name != self.step]
        elif kind in {"step-done", "step-failed"}:
            self.step, self.hosts, self.latest = "", {}, ""
        else:
            self._hear(event)

    def _hear(self, event: Event) -> None:
        words = sub_step(event)
        host = event.get("host")
        if words and host:
            self.hosts[str(host)] = words
        elif words:
            self.latest = words

    def lines(self, now: float) -> list[Line]:
        """Return what to draw, as ``(style, text)`` a line."""
        beat = FRAMES[int(now * FRAMES_A_SECOND) % len(FRAMES)]
        drawn: list[Line] = [("", "")]
        if self.step:
            spent = f"{now - self.step_began:.0f} s"
            drawn.append(("cyan", f"{beat} {self.step:<10} {spent:>5}  {self.says}"))
        indent = " " * 4
        named = list(self.hosts.items())
        width = max((len(name) for name, _ in named), default=0)
        drawn += [("", f"{indent}{name:<{width}}  {said}") for name, said in named[:HOSTS_SHOWN]]
        if named[HOSTS_SHOWN:]:
            drawn.append(("dim", f"{indent}and {len(named) - HOSTS_SHOWN} more hosts"))
        if self.latest:
            drawn.append(("", indent + self.latest))
        if self.steps:
            drawn.append(("dim", f"{indent}then {', '.join(self.steps)}"))
        drawn.append(("dim", self._foot(now, beat)))
        return drawn

    def _foot(self, now: float, beat: str) -> str:
        spent = f"{now - self.began:.0f} s"
        if not self.title:
            return f"{beat} {spent}"
        place = f"step {self.count - len(self.steps)} of {self.count}, " if self.count else ""
        return f"{' ' * 4}{place}{spent}  {self.title}"


def sub_step(event: Event) -> str:
    """Return in a few words what an event says of the step that goes on."""
    said = str(event.get("says") or "").strip().partition("\n")[0]
    match event.get("type"):
        case "host-progress":
            return str(event.get("message", ""))
        case "host-intent":
            return str(event.get("action", "")).replace("_", " ")
        case "provision-task":
            return str(event.get("task", ""))
        case "upload":
            return f"{int(event.get('sent_bytes', 0)) / 1e6:.1f} MB sent"
        case "check":
            return str(event.get("id") or said)
        case _:
            return said


class View:
    """Draws a scene at the end of a terminal and prints lines above it, from any thread.

    Args:
        stream: The terminal.
        redact: Takes secrets out of what is drawn; what is printed comes without them.
        colour: Whether styles may be used.
    """

    def __init__(self, stream: TextIO, redact: Callable[[str], str], *, colour: bool) -> None:
        self._redact = redact
        self._scene = Scene(began=time.monotonic())
        self._guard = threading.Lock()
        self._console = _Terminal(
            file=cast("TextIO", Enduring(stream)),
            force_terminal=True,
            color_system="auto" if colour else None,
            highlight=False,
            markup=False,
            emoji=False,
        )
        self._live = Live(
            get_renderable=self._drawn,
            console=self._console,
            refresh_per_second=FRAMES_A_SECOND,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def start(self) -> None:
        """Begin to draw."""
        self._live.start()

    def stop(self) -> None:
        """Take the drawing away; what was printed stays."""
        self._live.stop()

    def take(self, event: Event) -> None:
        """Take an event in; it is drawn with the next frame."""
        with self._guard:
            self._scene.take(event, time.monotonic())

    def print(self, text: str) -> None:
        """Print text above the drawing; the terminal wraps what is too long."""
        self._console.print(Text.from_ansi(text), soft_wrap=True)

    def _drawn(self) -> Group:
        with self._guard:
            lines = self._scene.lines(time.monotonic())
        short: OverflowMethod = "ellipsis" if self._console.encoding.startswith("utf") else "crop"
        return Group(
            *(
                Text(self._redact(text), style=style, no_wrap=True, overflow=short)
                for style, text in lines
            )
        )


class _Terminal(Console):
    """A console that leaves the cursor alone."""

    def show_cursor(self, show: bool = True) -> bool:  # noqa: ARG002 - Rich's own signature
        """Leave the cursor as it is."""
        return False

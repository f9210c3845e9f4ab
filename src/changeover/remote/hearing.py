"""What a host is heard to say, and how long it may say nothing before somebody is told.

An agent beats every few seconds while it works, so silence means that it is stopped, that its host is
gone, or that the way to it is cut: that is told early, and is not waited for long.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from changeover.remote import ssh
from changeover.remote.failures import HostSilent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Event = dict[str, Any]
# Five beats of an agent were missed.
ALARM_SECONDS = 15.0
GIVE_UP_SECONDS = 60.0
# An agent from before there were beats reported its longest quiet action at least this often.
WITHOUT_BEATS_SECONDS = 600.0
CHUNK = 65536


@dataclass(slots=True, kw_only=True)
class Ear:
    """Listens to one session with a host.

    Args:
        host: Its name.
        hint: What to type when it is given up.
        report: Is told when nothing was heard for a while, and when there is something again.
        alarm: After how many silent seconds that is told, again and again.
        give_up: After how many the session is lost.
    """

    host: str
    hint: str
    report: Callable[[Event], None]
    alarm: float = ALARM_SECONDS
    give_up: float = GIVE_UP_SECONDS
    during: str = "its first word"
    _heard: float = field(default_factory=time.monotonic)
    _told: bool = False

    def events(self, channel: Any) -> Iterator[Event]:  # noqa: ANN401 - paramiko's channel, untyped by fabric
        """Yield what the agent says; a line that the end of the session cut off is nothing it said.

        Raises:
            HostSilent: Nothing was heard for too long.
        """
        channel.settimeout(self.alarm)
        pending = b""
        while chunk := self._chunk(channel):
            pending += chunk
            *complete, pending = pending.split(b"\n")
            for line in complete:
                with contextlib.suppress(ValueError):
                    event = json.loads(line)
                    if isinstance(event, dict) and "type" in event:
                        self._understand(event)
                        yield event

    def _chunk(self, channel: Any) -> bytes:  # noqa: ANN401 - paramiko's channel, untyped by fabric
        while True:
            try:
                chunk: bytes = channel.recv(CHUNK)
            except TimeoutError:
                self._silent()
            else:
                if chunk:
                    self._again()
                return chunk

    def _silent(self) -> None:
        silent = time.monotonic() - self._heard
        if silent >= self.give_up:
            raise HostSilent(
                f"{self.host} has been silent for {silent:.0f} s in {self.during}",
                hint=self.hint,
                host=self.host,
                cause="the agent is stopped, its host is gone, or the way to it is cut",
            )
        self._told = True
        says = f"{self.host}: nothing heard for {silent:.0f} s in {self.during}"
        self._tell("host-silent", silent, says)

    def _again(self) -> None:
        if self._told:
            silent = time.monotonic() - self._heard
            self._tell("host-heard", silent, f"{self.host}: heard again after {silent:.0f} s")
        self._heard, self._told = time.monotonic(), False

    def _tell(self, kind: str, silent: float, says: str) -> None:
        about = {"host": self.host, "during": self.during, "seconds": round(silent, 1)}
        self.report({"type": kind, **about, "says": says})

    def _understand(self, event: Event) -> None:
        if event["type"] == "version" and "beat_seconds" not in event:
            self.give_up = WITHOUT_BEATS_SECONDS
        if event["type"] == "intent":
            self.during = str(event.get("action") or event.get("id") or "")


@contextlib.contextmanager
def answered_within(seconds: float, channel: Any) -> Iterator[None]:  # noqa: ANN401 - paramiko's
    """Close a channel whose other side has not answered in time: what waits on it then ends.

    Paramiko waits for the answer to a request for a program without a deadline of its own.
    """
    timer = threading.Timer(seconds, ssh.dismiss, [channel])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()

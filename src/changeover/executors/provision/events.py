"""What a run of Ansible told, turned into our events, counts and failures."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from changeover.errors import CheckRed, Failed

if TYPE_CHECKING:
    from collections.abc import Iterator

Event = dict[str, Any]
CAUSE_LINES = 30
# What Ansible or sudo says when the administrator may not become root.
NO_ROOT = re.compile(
    r"(missing|incorrect) sudo password|a password is required|is not in the sudoers file"
    r"|is not allowed to (execute|run)|may not run sudo|sudo: (command )?not found",
    re.IGNORECASE,
)


class HostsUnreachable(CheckRed):
    """A host does not answer SSH as the administrator."""


class NotRoot(CheckRed):
    """The administrator of the inventory cannot become root on a host, so nothing could be done there."""


class TaskFailed(Failed):
    """A task failed on a host; what was done before it stays, and a second run goes on from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostCounts:
    """How many tasks ended how on one host."""

    ok: int = 0
    changed: int = 0
    failed: int = 0
    unreachable: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisioned:
    """The outcome of a run.

    Args:
        hosts: The counts by host.
        changes: ``(host, task)`` of everything that was changed, or would be, in order.
        seconds: How long it took.
        check: Whether nothing was changed on purpose.
    """

    hosts: dict[str, HostCounts]
    changes: tuple[tuple[str, str], ...]
    seconds: float
    check: bool

    def as_json(self) -> Event:
        """Return the outcome as plain JSON."""
        return {
            "type": "provisioned",
            "check": self.check,
            "seconds": round(self.seconds, 1),
            "hosts": {
                name: {
                    "ok": counts.ok,
                    "changed": counts.changed,
                    "failed": counts.failed,
                    "unreachable": counts.unreachable,
                }
                for name, counts in self.hosts.items()
            },
        }

    def as_text(self) -> str:
        """Return the outcome as lines for a person."""
        word = "would change" if self.check else "changed"
        lines = [
            f"{name:<12} {counts.changed} {word}, {counts.ok - counts.changed} as declared"
            for name, counts in self.hosts.items()
        ]
        return "\n".join([*lines, f"{self.seconds:.1f} s"])


@dataclass(slots=True)
class Telling:
    """Collects what Ansible tells, line by line."""

    check: bool
    counts: dict[str, HostCounts] = field(default_factory=dict)
    changes: list[tuple[str, str]] = field(default_factory=list)
    failures: list[Event] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    def take(self, told: Event) -> Iterator[Event]:
        """Take one event of Ansible's and yield ours."""
        match told.get("event"):
            case "play":
                yield {"type": "provision-play", "name": told["name"], "says": told["name"]}
            case "counts":
                self.counts = {name: HostCounts(**one) for name, one in told["hosts"].items()}
            case "answer":
                yield from self._answer(told)
            case _:
                pass

    def _answer(self, told: Event) -> Iterator[Event]:
        host, task, status = told["host"], told["task"], told["status"]
        event: Event = {"type": "provision-task", "host": host, "task": task, "status": status}
        if status == "changed":
            self.changes.append((host, task))
            items = ", ".join(told.get("items", ()))
            mark = "would change" if self.check else "changed"
            event["says"] = f"  {host}: {mark}  {task}" + (f" ({items})" if items else "")
        if status in {"failed", "unreachable"}:
            self.failures.append(told)
            event["cause"] = told.get("cause", "")
            event["says"] = f"  {host}: {status}  {task}"
        if told.get("message"):
            event["message"] = told["message"]
            event["says"] = f"  {host}: {told['message']}"
        yield event
        if self.check:
            for part in told.get("differences", ()):
                text = difference(part)
                if text:
                    yield {"type": "provision-diff", "host": host, "diff": text, "says": text}

    def raise_failure(self, environment: str) -> None:
        """Raise the first failure there was, if any.

        Raises:
            NotRoot: The administrator may not become root.
            HostsUnreachable: A host did not answer, and nothing else went wrong.
            TaskFailed: A task failed.
        """
        if not self.failures:
            return
        failed = [one for one in self.failures if one["status"] == "failed"]
        first = (failed or self.failures)[0]
        others = sorted({one["host"] for one in self.failures} - {first["host"]})
        also = f"; also on {', '.join(others)}" if others else ""
        cause = "\n".join(str(first.get("cause", "")).splitlines()[-CAUSE_LINES:])
        again = f"changeover provision --env {environment} --limit {first['host']}"
        if failed and NO_ROOT.search(cause):
            raise NotRoot(
                f"the administrator cannot become root on {first['host']}{also}",
                hint="let ansible_user of the inventory run sudo without a password there"
                f" (in /etc/sudoers.d/: NAME ALL=(ALL) NOPASSWD: ALL), then: {again}",
                host=first["host"],
                cause=cause,
            )
        if failed:
            raise TaskFailed(
                f"provisioning stopped at {first['task']!r}{also}",
                hint=f"correct the cause, then run it again: {again}",
                host=first["host"],
                cause=cause,
            )
        raise HostsUnreachable(
            f"{first['host']} does not answer SSH as the administrator{also}",
            hint=f"start the host or correct its address and key in the inventory, then: {again}",
            host=first["host"],
            cause=cause,
        )


def difference(part: Event) -> str:
    """Return a unified diff of what a task would change."""
    before, after = str(part.get("before", "")), str(part.get("after", ""))
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), "now", str(part.get("name") or "then"), lineterm=""
    )
    return "\n".join(lines)

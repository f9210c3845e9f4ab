"""A host without a machine: what its agent would answer, said to the runner's own code."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from changeover.executors.backup.restored import Restored
from changeover.remote.failures import AgentFailed, AgentOutdated, HostUnreachable
from changeover.remote.line import Reply

if TYPE_CHECKING:
    from collections.abc import Callable


OLD, NEW = "1.0.0-aaaaaaaa", "3.0.0-bbbbbbbb"
MOMENT = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
Event = dict[str, Any]
RESTORED = {
    "kept": "kept",
    "refused_seconds": 0.2,
    "rows_lost": 3,
    "lost": {},
    "warm": False,
    "resumed": False,
}


@dataclass
class Machine:
    """One host as its agent shows it: ``new`` is live, ``old`` was live before."""

    name: str
    live: str = NEW
    confirmed: str = NEW
    history: list[str] = field(default_factory=lambda: [OLD])
    placed: list[str] = field(default_factory=lambda: [OLD, NEW])
    contracted: list[str] = field(default_factory=list)
    running: list[str] = field(default_factory=lambda: [OLD, NEW])
    pending: Event | None = None
    unfinished: Event | None = None
    restored: Event = field(default_factory=lambda: dict(RESTORED))
    lock: Event | None = None
    nonce: str = ""
    deployment: str = ""
    reachable: bool = True
    asked: list[str] = field(default_factory=list)
    left_open: int = 0
    websockets: Event = field(default_factory=dict)
    settled_seconds: float | None = 1e6
    before: dict[str, Callable[[], object]] = field(default_factory=dict)
    backups: list[Event] = field(default_factory=list)
    estimate: Event = field(default_factory=dict)
    older: bool = False
    fenced: dict[str, Event] = field(default_factory=dict)
    withdrawn: list[str | None] = field(default_factory=list)
    wishes: dict[str, Event] = field(default_factory=dict)

    @property
    def previous(self) -> str | None:
        if self.pending:
            return str(self.pending["from"])
        earlier = [each for each in self.history if each in self.placed and each != self.live]
        return earlier[-1] if earlier else None

    def answer(self, request: Event) -> list[Reply]:
        if self.older and request["agent"]:
            raise AgentOutdated(f"{self.name} is older", hint="provision", host=self.name)
        replies, self.deployment = [], str(request["deployment"])
        for action in request["actions"]:
            name = action["action"]
            if name in self.before:
                self.before[name]()
            if not self.reachable:
                raise HostUnreachable(
                    f"{self.name} does not answer SSH", hint="start the host", host=self.name
                )
            self.asked.append(name)
            result: Event = getattr(self, f"_{name}", lambda _: {})(action)
            replies.append(Reply(id=action["id"], result=result, skipped=False))
        return replies

    def on(self, action: str, act: Callable[[], object]) -> None:
        """Do something whenever an action is asked for, before it is done."""
        self.before[action] = act

    def lose(self) -> None:
        """Answer nobody from here on."""
        self.reachable = False

    def refuse(self, word: str, message: str = "") -> None:
        raise AgentFailed(
            f"{self.name}: {message or word}", hint="look", host=self.name, error=word
        )

    def _state(self, _: Event) -> Event:
        return {
            "live": self.live,
            "previous": self.previous,
            "confirmed": self.confirmed,
            "pending": self.pending,
            "since": {"at": "2026-03-01T03:00:00+00:00", "seconds": self.settled_seconds},
            "history": self.history,
            "contracted": self.contracted,
            "releases": [{"colour": each, "running": each in self.running} for each in self.placed],
            "lock": self.lock,
            "fenced": self.fenced,
            "maintenance": {
                "on": bool(self.wishes),
                "served": bool(self.live),
                **self.wishes,
            },
        }

    def _maintenance_on(self, action: Event) -> Event:
        named: Event = {
            "deployment": action["of"] or "d",
            "since": "then",
            "allow": [],
            "tester": True,
        }
        self.wishes[action["kind"]] = {"by": action["by"], "reason": action["reason"], **named}
        return {"on": True}

    def _maintenance_off(self, action: Event) -> Event:
        self.wishes.pop(action["kind"], None)
        return {"on": bool(self.wishes), "answered": 2}

    def _lock(self, action: Event) -> Event:
        theirs = self.nonce != action["nonce"]
        if self.lock and theirs and not self.lock.get("expired"):
            raise AgentFailed(
                f"{self.name}: held",
                hint="wait",
                host=self.name,
                error="lock-held",
                detail={"holder": self.lock},
            )
        return self._steal(action)

    def _steal(self, action: Event) -> Event:
        before = self.lock if self.nonce != action["nonce"] else None
        named = {"reason": action["reason"], "owner": action["owner"]}
        self.lock = {**named, "deployment": self.deployment}
        self.nonce = str(action["nonce"])
        return {"number": max(7, action.get("at_least", 0)), "from": before}

    def _renew(self, action: Event) -> Event:
        if self.lock:
            self.lock["expired"] = action["ttl_seconds"] <= 1
        return {}

    def _unlock(self, _: Event) -> Event:
        self.lock = None
        return {}

    def _smoke(self, action: Event) -> Event:
        well = {"status": 200, "headers": [], "body": '{"status": "ok"}', "seconds": 0.0}
        return {"answers": [well for _ in action["checks"]], "log": ""}

    def _revert(self, action: Event) -> Event:
        self.running = sorted({*self.running, str(action["to"])})
        self.live = self.confirmed = action["to"]
        self.pending = None
        return {"switch_us": 900, "left_open": self.left_open}

    def _start(self, action: Event) -> Event:
        self.running = sorted({*self.running, str(action["colour"])})
        return {"started_ms": 5}

    def _switch(self, action: Event) -> Event:
        self.pending = {"kind": "switch", "deployment": "d", "from": self.live}
        self.live = action["colour"]
        return {"switch_us": 80, "reloaded": True, "left_open": self.left_open}

    def _confirm(self, action: Event) -> Event:
        if self.pending:
            self.history = [*self.history, self.pending["from"]]
        self.confirmed, self.pending = action["colour"], None
        return {}

    def _stop(self, action: Event) -> Event:
        self.running = [each for each in self.running if each != action["colour"]]
        return {"websockets": self.websockets}

    def _retire(self, action: Event) -> Event:
        self.placed = [each for each in self.placed if each != action["colour"]]
        return self._stop(action)

    def _fence(self, action: Event) -> Event:
        entry = {"since": "then", "why": action["why"], "deployment": "d"}
        self.fenced = {**dict.fromkeys(action["servers"], entry), **self.fenced}
        return {"cut": 0}

    def _unfence(self, action: Event) -> Event:
        kept = {name: entry for name, entry in self.fenced.items() if name not in action["servers"]}
        self.fenced = kept
        return {}

    def _withdraw(self, action: Event) -> Event:
        self.withdrawn.append(action.get("of"))
        return {}

    def _contract_begins(self, action: Event) -> Event:
        self.contracted = [*self.contracted, str(action["colour"])]
        return {}

    def _backup_list(self, _: Event) -> Event:
        return {"backups": self.backups, "databases": [], "unfinished": self.unfinished}

    def _backup_estimate(self, action: Event) -> Event:
        return self.estimate | {"backup": action["backup"]}

    def _backup_restore(self, action: Event) -> Event:
        assert {*self.restored, "backup"} < set(Restored.__slots__)
        return {"backup": action["backup"], **self.restored}

    def _backup_told(self, action: Event) -> Event:
        return {"backup": action["backup"], "forgotten": True}

"""Onboarding on a lab beside another app, and users who make progress while it moves."""

from __future__ import annotations

import contextlib
import json
import secrets
import threading
import time
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import TYPE_CHECKING, Any

import requests
import yaml
from tests.apps.onboarding.desk import MIGRATE, STEPS, token

from changeover.drill.moves import moves_of
from changeover.load.history import History, Request
from changeover.load.judgement import judge

from .beside import AppBeside
from .clients import PATH, RELEASE, Connection, ask
from .voxflow_clients import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .live import Event

NAME = "onboarding.lab.test"
# `BUSY` is the step that users make progress on meanwhile, `QUIET` one that they have left alone.
BUSY, QUIET = "shop", "papers"
AT_ONCE = 4
PAUSE_SECONDS = 0.2
SEED = """
    INSERT INTO onboarding_steps (step_id, version, title, weight)
    VALUES (:'busy', 1, 'Shop', 30), (:'quiet', 1, 'Papers', 30);
    INSERT INTO onboarding_users (user_id, role, percent)
    SELECT 'before ' || n, 'user', CASE WHEN n <= 300 THEN 50 ELSE 0 END FROM generate_series(1, 500) n;
    INSERT INTO onboarding_progress (user_id, step_id, version, status, completed_at)
    SELECT 'before ' || n, :'quiet', 1, CASE WHEN n <= 300 THEN 'done' ELSE 'todo' END,
           CASE WHEN n <= 300 THEN now() END FROM generate_series(1, 500) n"""
# Who is done with the version of a step that is active.
DONE = """
    SELECT user_id FROM onboarding_progress p JOIN onboarding_steps s USING (step_id, version)
    WHERE step_id = :'step' AND active_to IS NULL AND status = 'done' AND starts_with(user_id, :'begin')"""


@dataclass(frozen=True)
class Answer:
    """What somebody was answered."""

    status: int
    release: str
    body: Any


class Onboarding(AppBeside):
    """The app on the lab."""

    app = "onboarding"

    def administer(self, method: str, path: str = MIGRATE, body: object = None) -> Answer:
        """Ask once as an administrator."""
        bearer = token(secret=self.secret("JWT_SECRET"))
        with contextlib.closing(Connection(self.address, NAME)) as connection:
            return put(connection, bearer, body, method, path)

    def migrate(
        self, step: str, *, dry: bool, since: int = 1, chunk: int | None = None, **changes: object
    ) -> dict[str, int]:
        """Have a step taken from a version to the next one; return what was counted."""
        wish = {"stepId": step, "fromVersion": since, "toVersion": since + 1, "dryRun": dry}
        chunked = {} if chunk is None else {"chunkSize": chunk}
        answer = self.administer("POST", body={**wish, **chunked, "newStepData": changes})
        assert answer.status == 200, answer
        counts = ("usersAffected", "progressCopied", "progressReset")
        return {name: answer.body["result"][name] for name in counts}

    def heard(self) -> list[Event]:
        """Return the events that the lab's analytics received, in the order in which they came."""
        known = yaml.safe_load((self.user.inventory / "group_vars/all/lab.yml").read_text())
        answer = requests.get(
            known["changeover_settings"][self.app]["ANALYTICS_URL"],
            headers={"Authorization": f"Bearer {self.secret('ANALYTICS_TOKEN')}"},
            timeout=30,
        )
        assert answer.status_code == 200, answer.text
        events: list[Event] = answer.json()["events"]
        return events

    def seed(self) -> None:
        self.sql(SEED, busy=BUSY, quiet=QUIET)


@dataclass
class Load:
    """Users who each make progress once, and what came of it.

    Args:
        onboarding: The app.
        before: The colour that served at first.
        events: What those who moved it were told.
        requests: What users sent.
        versions: The versions of the step that they were told.
        beside: What the other app answered meanwhile.
    """

    onboarding: Onboarding
    before: str
    address: str
    secret: str
    events: list[Event] = field(default_factory=list)
    begin: str = field(default_factory=lambda: f"{secrets.token_hex(4)}-")
    requests: list[Request] = field(default_factory=list)
    versions: set[int] = field(default_factory=set)
    beside: list[str] = field(default_factory=list)
    _end: threading.Event = field(default_factory=threading.Event)

    def judged(self) -> tuple[list[str], set[str]]:
        """Return what is wrong, and the releases that answered."""
        rows = self.onboarding.sql(DONE, step=BUSY, begin=self.begin).splitlines()
        moves = moves_of(self.events, before=self.before, ended=time.time())
        history = History(tuple(self.requests), ())
        found = judge(history, before=self.before, moves=moves, rows=rows)
        print(self.begin, json.dumps(found.as_json()), len(self.beside))  # noqa: T201 - figures of a run
        return found.findings, {each.partition("-")[0] for each in found.answered}

    def turns(self, worker: int) -> None:
        """Have one new user after another make progress, each once and none twice."""
        number = 0
        with contextlib.closing(Connection(self.address, NAME)) as connection:
            while not self._end.wait(PAUSE_SECONDS):
                self._turn(connection, f"{self.begin}{worker}-{number}")
                number += 1

    def _turn(self, connection: Connection, user: str) -> None:
        bearer, start = token(user, "user", secret=self.secret), time.time()
        try:
            answer = put(connection, bearer, {"status": "done"})
        except (OSError, HTTPException, ValueError) as error:
            said = f"{type(error).__name__}: {error}"
            self.requests.append(Request(id=user, start=start, end=time.time(), error=said))
            connection.close()
            return
        self.requests.append(
            Request(
                id=user,
                start=start,
                end=time.time(),
                status=answer.status,
                release=answer.release or None,
            )
        )
        if answer.status == 200:
            self.versions.add(answer.body["version"])

    def ask_beside(self) -> None:
        """Have somebody ask the other app."""
        with contextlib.closing(Connection(self.address)) as connection:
            while not self._end.wait(PAUSE_SECONDS):
                try:
                    self.beside.append(str(ask(connection, PATH).status))
                except (OSError, HTTPException) as error:
                    self.beside.append(f"{type(error).__name__}: {error}")
                    connection.close()

    def end(self) -> None:
        self._end.set()


def put(
    connection: Connection,
    bearer: str,
    body: object,
    method: str = "PUT",
    path: str = f"{STEPS}/{BUSY}",
) -> Answer:
    """Ask once, without a second try."""
    headers = {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"}
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    found = connection.getresponse()
    text = found.read()
    return Answer(found.status, found.getheader(RELEASE, ""), json.loads(text))


@contextlib.contextmanager
def under_load(onboarding: Onboarding) -> Iterator[Load]:
    """Have users make progress until the block ends; some had before it begins."""
    address, secret = onboarding.address, onboarding.secret("JWT_SECRET")
    load = Load(onboarding, onboarding.live(), address, secret)
    threads = [threading.Thread(target=load.turns, args=(each,)) for each in range(AT_ONCE)]
    threads.append(threading.Thread(target=load.ask_beside))
    for each in threads:
        each.start()
    try:
        until(lambda: len(load.requests) > 2 * AT_ONCE, "nobody makes progress")
        yield load
        # Some come after the last move, too.
        reached = len(load.requests)
        until(lambda: len(load.requests) > reached + 2 * AT_ONCE, "nobody makes progress any more")
    finally:
        load.end()
        for each in threads:
            each.join()

"""Ask the live version from outside, as a user would: HTTP, WebSocket and TLS."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import requests.cookies

from changeover import checks as declared
from changeover.checks import records
from changeover.counts import counted
from changeover.errors import CheckRed
from changeover.executors.smoke import exchange, handshake, order, together
from changeover.executors.smoke.values import NotSavedError, Target, Values

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping, Sequence

    from changeover.secret import Secret

Event = dict[str, Any]


class SmokeRed(CheckRed):
    """A smoke check of the release is red."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What one check found.

    Args:
        ok: Whether everything was as declared.
        message: One line for a person; what is wrong where it is red.
        seconds: How long it took, retries included.
        detail: Further lines: other problems, the request, the answer; secrets are masked.
    """

    id: str
    ok: bool
    message: str
    seconds: float
    detail: tuple[str, ...] = ()

    def masked(self, values: Values) -> CheckResult:
        """Return the result with everything masked that is a secret by now."""
        detail = tuple(values.redactor(line) for line in self.detail)
        return replace(self, message=values.redactor(self.message), detail=detail)

    def as_event(self) -> Event:
        """Return the result as one JSON-ready event."""
        return {
            "type": "check",
            "id": self.id,
            "ok": self.ok,
            "message": self.message,
            "seconds": round(self.seconds, 3),
            "detail": list(self.detail),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokeOutcome:
    """What all checks found, in the order they are declared."""

    results: tuple[CheckResult, ...]
    seconds: float

    @property
    def ok(self) -> bool:
        """Return whether every check is green."""
        return all(result.ok for result in self.results)

    @property
    def red(self) -> tuple[CheckResult, ...]:
        """Return the red checks."""
        return tuple(result for result in self.results if not result.ok)

    def require_green(self, hint: str) -> None:
        """Raise ``SmokeRed`` with the red checks named, unless every check is green."""
        if self.ok:
            return
        names = ", ".join(result.id for result in self.red)
        raise SmokeRed(
            f"{len(self.red)} of {len(self.results)} smoke checks are red: {names}",
            hint=hint,
            cause="\n".join(
                line
                for result in self.red
                for line in (f"{result.id}: {result.message}", *(f"  {d}" for d in result.detail))
            ),
        )


def apply(
    target: Target,
    checks: Sequence[declared.Check],
    environment: Mapping[str, str | Secret],
    report: Callable[[Event], None],
    stop: together.Stop | None = None,
) -> SmokeOutcome:
    """Run checks against the public address, independent ones at once; report each in its order.

    Args:
        target: Where to, and which authority to trust.
        checks: What the release declares; captures go from check to check.
        environment: The release's variables, for ``${env:NAME}``; every ``Secret`` is masked.
        report: Called with one event a check.
        stop: Ends them from another thread.

    Raises:
        StoppedError: It did.
        CheckValueUnknown: A check reads a variable that ``environment`` lacks; nothing was sent.
    """
    values = Values.of(target, environment)
    for name in sorted(declared.environment_names(checks)):
        values.value(f"env:{name}")
    begun = time.monotonic()
    results = []
    work = [partial(_run, check, values) for check in checks]
    with contextlib.closing(together.run(work, order.waits(checks), stop)) as ended:
        for found in ended:
            # Those before it that ran at the same time may have saved what it shows.
            result = found.masked(values)
            results.append(result)
            report(result.as_event())
    return SmokeOutcome(results=tuple(results), seconds=time.monotonic() - begun)


def _run(check: declared.Check, values: Values, stopped: threading.Event) -> CheckResult:
    begun = time.monotonic()
    end = begun if check.retry is None else begun + check.retry.seconds
    while True:
        problems, detail = _once(check, values, stopped)
        pause = 0.0 if check.retry is None else check.retry.every
        if not problems or time.monotonic() + pause >= end or stopped.wait(pause):
            break
    shown = [values.shown(problem) for problem in problems]
    return CheckResult(
        id=check.id,
        ok=not problems,
        message=shown[0] if shown else check.summary or "as declared",
        seconds=time.monotonic() - begun,
        detail=(*shown[1:], *detail) if shown else (),
    )


def _once(
    check: declared.Check, values: Values, stopped: threading.Event
) -> tuple[list[str], list[str]]:
    """Run a check once; return its problems and the lines that explain them."""
    if isinstance(check, declared.TlsCheck):
        return list(handshake.problems(check.tls, values.target)), []
    steps = declared.steps(check)
    cookies = requests.cookies.RequestsCookieJar()
    for number, step in enumerate(steps, 1):
        if stopped.is_set():
            return ["not asked: the checks were interrupted"], []
        problems, detail = _step(step, values, cookies, stopped)
        if problems:
            if len(steps) > 1:
                problems[0] = f"step {number}: {problems[0]}"
            return problems, detail
    return [], []


def _step(
    step: records.Exchange | records.Conversation,
    values: Values,
    cookies: requests.cookies.RequestsCookieJar,
    stopped: threading.Event,
) -> tuple[list[str], list[str]]:
    try:
        if isinstance(step, records.Conversation):
            from changeover.executors.smoke import (  # noqa: PLC0415 - few releases have one
                conversation,
            )

            return (
                list(conversation.problems(step.websocket, values)),
                [conversation.target_of(step.websocket, values)],
            )
        return _exchange(step, values, cookies, stopped)
    except NotSavedError as error:
        return [str(error)], []


def _exchange(
    step: records.Exchange,
    values: Values,
    cookies: requests.cookies.RequestsCookieJar,
    stopped: threading.Event,
) -> tuple[list[str], list[str]]:
    target = exchange.target_of(step.request, values)
    tried = 0
    while True:
        tried += 1
        try:
            answer = exchange.send(step.request, values, cookies)
        except exchange.NoAnswerError as error:
            return [str(error)], [target]
        problems = list(exchange.problems(step.expect, answer, values))
        if not problems or tried == step.tries or stopped.is_set():
            break
    if problems and tried > 1:
        problems[0] = f"after {counted(tried, 'request')} {problems[0]}"
    if not problems:
        problems = list(exchange.save(step, answer, values, cookies))
    return problems, [target, exchange.shown_answer(answer, values)] if problems else []

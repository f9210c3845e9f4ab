"""Checks that a host's agent asks, and what its answers are worth: judged as those from outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import requests
from requests.structures import CaseInsensitiveDict

from changeover import checks as declared
from changeover.executors.smoke import CheckResult, SmokeOutcome, exchange
from changeover.executors.smoke.values import Values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from changeover.executors.smoke.values import Target
    from changeover.secret import Secret

SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Asked:
    """Checks with their values filled in, so that answers can be held against them."""

    checks: tuple[declared.HttpCheck | declared.WebSocketCheck, ...]
    values: Values

    def parameters(self) -> list[dict[str, Any]]:
        """Return the ``checks`` parameter of the agent's ``smoke`` action.

        The values may hold secrets: they travel on the session's stdin and are never shown.
        """
        return [
            _request(check, self.values)
            if isinstance(check, declared.HttpCheck)
            else _conversation(check, self.values)
            for check in self.checks
        ]

    def judged(self, answers: Sequence[Mapping[str, Any]]) -> SmokeOutcome:
        """Return what one host's answers are worth, in the order of the checks."""
        results = tuple(
            self._result(check, answer) for check, answer in zip(self.checks, answers, strict=True)
        )
        return SmokeOutcome(results=results, seconds=sum(each.seconds for each in results))

    def _result(
        self, check: declared.HttpCheck | declared.WebSocketCheck, answer: Mapping[str, Any]
    ) -> CheckResult:
        seconds = float(answer.get("seconds", 0.0))
        if isinstance(check, declared.HttpCheck):
            problems, detail = _judged(check, answer, self.values)
        else:
            from changeover.executors.smoke import (  # noqa: PLC0415 - few releases have one
                conversation,
            )

            problems = [str(answer["fault"])] if answer.get("fault") else []
            detail = [conversation.target_of(check.websocket, self.values)]
        shown = [self.values.shown(problem) for problem in problems]
        return CheckResult(
            id=check.id,
            ok=not problems,
            message=shown[0] if shown else check.summary or "as declared",
            seconds=seconds,
            detail=(*shown[1:], *detail) if shown else (),
        )


def ask(
    checks: Sequence[declared.Check],
    target: Target,
    environment: Mapping[str, str | Secret],
    *,
    proxied: bool,
) -> Asked:
    """Return what of a release's checks can be asked on a host, before users see it.

    Args:
        checks: What the release declares.
        target: Under which public name.
        environment: The release's variables, for ``${env:NAME}``.
        proxied: Whether the release has a site.

    Raises:
        CheckValueUnknown: A check reads a variable that ``environment`` lacks.
    """
    chosen = declared.preview_checks(checks, proxied=proxied)
    return Asked(chosen, Values.of(target, environment))


def _request(check: declared.HttpCheck, values: Values) -> dict[str, Any]:
    request = check.request
    prepared = requests.Request(
        request.method,
        values.target.url(values.path(request.path or "/")),
        headers={name: values.text(value) for name, value in request.headers.items()},
        json=None if request.body_json is None else values.filled(request.body_json),
        data=values.filled(request.form)
        if request.form is not None
        else None
        if request.text is None
        else values.text(request.text).encode(),
    ).prepare()
    body = prepared.body
    parameters = {
        "id": check.id,
        "scheme": request.scheme,
        "method": request.method,
        "path": prepared.path_url,
        "headers": {**values.target.headers(values.target.base), **prepared.headers},
        "body": body.decode() if isinstance(body, bytes) else body,
        "seconds": request.timeout_seconds,
    }
    return parameters if check.socket is None else {**parameters, "socket": check.socket}


def _conversation(check: declared.WebSocketCheck, values: Values) -> dict[str, Any]:
    websocket = check.websocket
    wanted = websocket.model_dump(mode="json", by_alias=True)
    wanted["path"] = values.path(websocket.path)
    wanted["headers"] = values.target.headers(values.target.base)
    wanted["headers"] |= {name: values.text(text) for name, text in websocket.headers.items()}
    wanted["turns"] = values.filled(wanted["turns"])
    return {"id": check.id, "websocket": wanted}


def _judged(
    check: declared.HttpCheck, answer: Mapping[str, Any], values: Values
) -> tuple[list[str], list[str]]:
    target = exchange.target_of(check.request, values)
    if answer.get("failed"):
        return [str(answer["failed"])], [target]
    headers: CaseInsensitiveDict[str] = CaseInsensitiveDict()
    for name, value in answer["headers"]:
        headers[name] = f"{headers[name]}, {value}" if name in headers else str(value)
    given = exchange.Answer(
        status=int(answer["status"]),
        headers=headers,
        body=str(answer["body"]),
        url="",
        seconds=float(answer["seconds"]),
    )
    problems = list(exchange.problems(check.expect, given, values))
    return problems, [target, exchange.shown_answer(given, values)] if problems else []

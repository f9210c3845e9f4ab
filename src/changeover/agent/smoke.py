"""A release's checks against a colour's own sockets, before any user is sent to it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from changeover.agent import manifest, masking, names, sockets
from changeover.agent.failure import ActionError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from changeover.agent.call import Call, Result
    from changeover.agent.parameters import Parameters
    from changeover.agent.sockets import Answer

KNOWN = {"id", "method", "path", "headers", "body", "socket", "status", "json"}
DEFAULT_SOCKET = "http"
CHECK_SECONDS = 10.0
SHOWN = 500


def smoke(call: Call, given: Parameters) -> Result:
    """Run checks on the colour's sockets, with the headers that the proxy would add.

    Raises:
        ActionError: ``smoke-red``, with every check's result in ``results``.
    """
    given.only("colour", "checks", "host")
    colour = given.colour()
    release = manifest.read(call.places.release(colour))
    host = given.text("host", "localhost")
    results = []
    for check in given.sequence("checks"):
        name = names.checked("socket", names.SOCKET, check.get("socket") or DEFAULT_SOCKET)
        if name not in release.sockets or set(check) - KNOWN:
            raise ActionError("bad-parameter", f"check {check.get('id')!r} cannot be run here")
        results.append(_run(call, colour, call.places.socket(colour, name), check, host))
    red = [result for result in results if not result["ok"]]
    if red:
        raise ActionError(
            "smoke-red",
            f"{len(red)} of {len(results)} checks are red on {colour}",
            cause="\n".join(f"{result['id']}: {result['reason']}" for result in red),
            results=results,
        )
    return {"results": results}


def _run(
    call: Call, colour: str, path: Path, check: Mapping[str, Any], host: str
) -> dict[str, Any]:
    body = check.get("body")
    headers = {"Host": host, "X-Forwarded-Proto": "https", "Connection": "close"}
    if isinstance(body, (dict, list)):
        body = json.dumps(body)
        headers["Content-Type"] = "application/json"
    headers |= {str(name): str(value) for name, value in (check.get("headers") or {}).items()}
    try:
        answer = sockets.ask(
            path,
            str(check["path"]),
            method=str(check.get("method") or "GET"),
            headers=headers,
            body=body.encode() if isinstance(body, str) else None,
            seconds=CHECK_SECONDS,
        )
    except OSError as error:
        why = _said(call, colour, f"no answer: {error or type(error).__name__}")
        return _result(check, None, 0.0, why)
    reason = _judge(check, answer)
    return _result(check, answer.status, answer.seconds, reason and _said(call, colour, reason))


def _said(call: Call, colour: str, reason: str) -> str:
    return masking.mask(call.places.environment(colour), reason, SHOWN)


def _result(
    check: Mapping[str, Any], status: int | None, seconds: float, reason: str | None
) -> dict[str, Any]:
    return {
        "id": check.get("id"),
        "ok": reason is None,
        "status": status,
        "ms": round(seconds * 1000),
        "reason": reason,
    }


def _judge(check: Mapping[str, Any], answer: Answer) -> str | None:
    """Return what is wrong with an answer, all of it unmasked."""
    wanted = check.get("status", 200)
    allowed = wanted if isinstance(wanted, list) else [wanted]
    if answer.status not in allowed:
        return f"status {answer.status} instead of {wanted}: {answer.text}"
    if "json" not in check or check["json"] is None:
        return None
    try:
        found = json.loads(answer.body)
    except ValueError:
        return f"the answer is no JSON: {answer.text}"
    where = difference(check["json"], found)
    return f"{where}: {answer.text}" if where else None


def difference(expected: object, found: object, where: str = "") -> str | None:
    """Return where ``found`` lacks what is expected: keys may be more, lists may not."""
    if isinstance(expected, dict):
        if not isinstance(found, dict):
            return f"{where or '/'} is no object"
        parts = [
            f"{where}/{key} is missing"
            if key not in found
            else difference(value, found[key], f"{where}/{key}")
            for key, value in expected.items()
        ]
    elif isinstance(expected, list):
        if not isinstance(found, list) or len(found) != len(expected):
            return f"{where or '/'} is no list of {len(expected)}"
        parts = [
            difference(value, found[index], f"{where}/{index}")
            for index, value in enumerate(expected)
        ]
    else:
        same = expected == found and isinstance(expected, bool) == isinstance(found, bool)
        parts = [] if same else [f"{where or '/'} is not {json.dumps(expected)}"]
    return next((part for part in parts if part), None)

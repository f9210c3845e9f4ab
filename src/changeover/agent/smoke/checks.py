"""A release's checks asked on the host itself, and what was answered.

Before users see a colour it is asked through an Nginx of its own; where they are on it already,
through the live one. A colour without a site is asked on its sockets. What an answer is worth the
controller says, by the same rules as for one from outside.
"""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING, Any

from changeover.agent import names
from changeover.agent.colour import manifest, masking
from changeover.agent.failure import ActionError
from changeover.agent.smoke import client, private_configuration, private_nginx, websocket
from changeover.agent.smoke.client import Endpoint
from changeover.agent.traffic import maintenance_page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from changeover.agent.call import Call, Result
    from changeover.agent.colour.manifest import Manifest
    from changeover.agent.parameters import Parameters

    Find = Callable[[Mapping[str, Any]], Endpoint]

THROUGH = ("private", "live")
KNOWN = {"id", "scheme", "method", "path", "headers", "body", "socket", "seconds", "websocket"}
DEFAULT_SOCKET = "http"
DIRECT = {"X-Forwarded-Proto": "https"}
OWN = {
    "User-Agent": "changeover",
    "Accept": "*/*",
    "Accept-Encoding": "gzip",
    "Connection": "close",
}
LONGEST_SECONDS = 600.0
SPARE_SECONDS = 60.0
SHOWN = 500


def smoke(call: Call, given: Parameters) -> Result:
    """Ask checks of a colour and return the answers, in their order.

    Raises:
        ActionError: ``nginx-invalid``, ``preview-failed``; the colour's site cannot be served.
    """
    given.only("colour", "checks", "host", "through")
    colour = given.colour()
    release = manifest.read(call.places.release(colour))
    host = given.text("host", "localhost")
    through = given.text("through", THROUGH[0])
    checks = given.sequence("checks")
    for check in checks:
        if set(check) - KNOWN or through not in THROUGH:
            raise ActionError("bad-parameter", f"check {check.get('id')!r} cannot be run here")
    site = call.places.release(colour) / release.site if release.site else None
    answers = []
    with contextlib.ExitStack() as stack:
        find = _sockets(call, release, colour)
        if site is not None and call.host.nginx:
            # Behind the page of maintenance the live one shows only that.
            if through == "live" and not maintenance_page.is_on(call.places):
                find = _live(call, find)
            else:
                find = stack.enter_context(_private(call, site, colour, checks, find))
        for check in checks:
            call.give_way()
            answers.append({"id": check.get("id"), **_asked(call, colour, check, host, find)})
        log = private_nginx.complaints(call, colour)
    return {"answers": answers, "log": log}


def _sockets(call: Call, release: Manifest, colour: str) -> Find:
    def find(check: Mapping[str, Any]) -> Endpoint:
        name = names.checked("socket", names.SOCKET, check.get("socket") or DEFAULT_SOCKET)
        if name not in release.sockets:
            raise ActionError("bad-parameter", f"check {check.get('id')!r} cannot be run here")
        return Endpoint(at=call.places.socket(colour, name), tls=False, introduced=None)

    return find


def _live(call: Call, direct: Find) -> Find:
    def find(check: Mapping[str, Any]) -> Endpoint:
        if check.get("socket"):
            return direct(check)
        listener = _listener(call, check)
        return Endpoint(
            at=client.local(listener.address),
            tls="ssl" in listener.options,
            introduced="127.0.0.1" if "proxy_protocol" in listener.options else None,
        )

    return find


@contextlib.contextmanager
def _private(
    call: Call, site: Path, colour: str, checks: list[Mapping[str, Any]], direct: Find
) -> Iterator[Find]:
    seconds = SPARE_SECONDS + sum(_longest(check) for check in checks)
    # Two previews are two clients to whoever counts them: an address that is nobody's (RFC 5737).
    introduced = f"192.0.2.{1 + secrets.randbelow(254)}"
    with private_nginx.serving(call, site, colour, seconds) as home:

        def find(check: Mapping[str, Any]) -> Endpoint:
            if check.get("socket"):
                return direct(check)
            listener = _listener(call, check)
            tls = "ssl" in listener.options
            return Endpoint(at=home / listener.socket, tls=tls, introduced=introduced)

        yield find


def _longest(check: Mapping[str, Any]) -> float:
    wanted = check.get("websocket")
    if not wanted:
        return float(check.get("seconds") or LONGEST_SECONDS)
    turns = [turn.get("receive") or {} for turn in wanted["turns"]]
    waits = [float(each.get("within_seconds", 0)) for each in [*turns, wanted["close"]]]
    return float(wanted["open_seconds"]) + sum(waits)


def _listener(call: Call, check: Mapping[str, Any]) -> private_configuration.Listener:
    scheme = str(check.get("scheme") or "https")
    found = private_configuration.listeners(call.host.root, call.app.name, scheme)
    if not found:
        raise ActionError("bad-listener", f"no site of {call.app.name} listens for {scheme} here")
    return found[0]


def _asked(
    call: Call, colour: str, check: Mapping[str, Any], host: str, find: Find
) -> dict[str, Any]:
    endpoint = find(check)
    if check.get("websocket"):
        fault = websocket.hold(endpoint, host, check["websocket"])
        return {"fault": fault and _said(call, colour, fault)}
    headers = {"Host": host, **OWN, **(DIRECT if endpoint.direct else {})}
    headers |= {str(name): str(value) for name, value in (check.get("headers") or {}).items()}
    body = check.get("body")
    seconds = float(check.get("seconds") or LONGEST_SECONDS)
    try:
        answer = client.ask(
            endpoint,
            host,
            str(check.get("method") or "GET"),
            str(check["path"]),
            headers,
            body.encode() if isinstance(body, str) else None,
            seconds,
        )
    except OSError as error:
        return {"failed": _said(call, colour, f"no answer: {error or type(error).__name__}")}
    return answer.as_json()


def _said(call: Call, colour: str, reason: str) -> str:
    return masking.mask(call.places.environment(colour), reason, SHOWN)

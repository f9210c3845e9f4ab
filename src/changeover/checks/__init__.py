"""Smoke checks as data: what a release declares about its behaviour as seen from outside.

A check is one mapping with an ``id`` and exactly one of ``request``, ``flow``, ``websocket`` or
``tls``. Strings may carry ``${name}``: a capture of an earlier step, ``${public_url}``,
``${public_host}``, ``${unique}`` (eight hex digits, new in every run) or ``${env:NAME}`` (a value
of the release's environment). ``$${`` stands for a literal ``${``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, PlainValidator, SerializeAsAny, model_validator

from changeover.checks.records import (
    Conversation,
    Declared,
    Exchange,
    Retry,
    Slug,
    Tls,
    WebSocket,
    placeholders,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BUILT_IN = frozenset({"public_url", "public_host", "unique"})


class _Named(Declared):
    """What every check says.

    From outside, checks that only read run at once; one that may change something, or that looks at
    the time, runs alone, in its order. ``alongside`` says otherwise, either way.
    """

    id: Slug
    summary: str = ""
    retry: Retry | None = None
    alongside: bool | None = None


SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class HttpCheck(_Named, Exchange):
    """One request.

    Before the switch it is asked of the new colour through an Nginx of its own, unless it may change
    something or needs what another check has saved. ``preview: true`` asks a method there that is
    not known to be safe, ``preview: false`` keeps a check for after the switch. With ``socket`` the
    preview goes round Nginx to that socket of the colour.
    """

    preview: bool | None = None
    socket: str | None = None

    @model_validator(mode="after")
    def _preview_is_possible(self) -> HttpCheck:
        _refuse_impossible(self)
        return self


class WebSocketCheck(_Named):
    """One WebSocket conversation; it is held before the switch, too, unless ``preview: false``."""

    websocket: WebSocket
    preview: bool | None = None

    @model_validator(mode="after")
    def _preview_is_possible(self) -> WebSocketCheck:
        _refuse_impossible(self)
        return self


def _refuse_impossible(check: HttpCheck | WebSocketCheck) -> None:
    obstacle = _obstacle(check)
    if check.preview and obstacle:
        raise ValueError(obstacle)


def _obstacle(check: HttpCheck | WebSocketCheck) -> str | None:
    """Return why a check cannot be asked inside, before the switch."""
    if isinstance(check, HttpCheck):
        used = placeholders([check.request, check.expect])
    else:
        used = placeholders(check.websocket)
    captured = {name for name in used if name not in BUILT_IN and not name.startswith("env:")}
    if captured:
        return f"a preview cannot use captures: {', '.join(sorted(captured))}"
    if isinstance(check, HttpCheck) and (check.request.path is None or check.request.follow):
        return "a preview needs a path and no follow"
    if isinstance(check, HttpCheck) and check.tries > 1:
        return "a preview asks once"
    return None


def _step(value: object) -> Exchange | Conversation:
    if isinstance(value, Exchange | Conversation):
        return value
    if isinstance(value, dict) and "websocket" in value:
        return Conversation.model_validate(value)
    return Exchange.model_validate(value)


Step = Annotated[Exchange | Conversation, PlainValidator(_step), SerializeAsAny()]


def _not_empty(value: tuple[Step, ...]) -> tuple[Step, ...]:
    if not value:
        raise ValueError("a flow has at least one step")
    return value


class FlowCheck(_Named):
    """Several requests in order as one check; cookies are kept from step to step."""

    flow: Annotated[tuple[Step, ...], AfterValidator(_not_empty)]


class TlsCheck(_Named):
    """A look at the public TLS endpoint itself."""

    tls: Tls


_KINDS: dict[str, type[HttpCheck | FlowCheck | WebSocketCheck | TlsCheck]] = {
    "request": HttpCheck,
    "flow": FlowCheck,
    "websocket": WebSocketCheck,
    "tls": TlsCheck,
}


def _check(value: Any) -> HttpCheck | FlowCheck | WebSocketCheck | TlsCheck:  # noqa: ANN401 - raw YAML
    if isinstance(value, _Named):
        return value  # type: ignore[return-value]  # every leaf of _Named is listed above
    if not isinstance(value, dict):
        raise ValueError("a check is a mapping")  # noqa: TRY004 - pydantic reports ValueError only
    kinds = [kind for kind in _KINDS if kind in value]
    if len(kinds) != 1:
        raise ValueError("give exactly one of request, flow, websocket and tls")
    return _KINDS[kinds[0]].model_validate(value)


Check = Annotated[
    HttpCheck | FlowCheck | WebSocketCheck | TlsCheck,
    PlainValidator(_check),
    SerializeAsAny(),
]


def steps(check: Check) -> tuple[Exchange | Conversation, ...]:
    """Return the steps of a check in order; a TLS check has none."""
    match check:
        case FlowCheck():
            return check.flow
        case HttpCheck():
            return (check,)
        case WebSocketCheck():
            return (Conversation(websocket=check.websocket),)
        case TlsCheck():
            return ()


def saves(step: Exchange | Conversation) -> set[str]:
    """Return the names a step captures."""
    if isinstance(step, Exchange):
        return set(step.save)
    received = (turn.receive for turn in step.websocket.turns)
    return {name for receive in received if receive is not None for name in receive.save}


def _needs(step: Exchange | Conversation) -> set[str]:
    used = {name for name in placeholders(step) if not name.startswith("env:")} - BUILT_IN
    return used - saves(step) if isinstance(step, Conversation) else used


def _unknown(checks: Sequence[Check]) -> Iterator[str]:
    known: set[str] = set()
    for check in checks:
        for step in steps(check):
            yield from (f"{check.id}: no earlier step saves ${{{n}}}" for n in _needs(step) - known)
            known |= saves(step)


def _consistent(checks: tuple[Check, ...]) -> tuple[Check, ...]:
    ids = [check.id for check in checks]
    doubles = {check_id for check_id in ids if ids.count(check_id) > 1}
    if doubles:
        raise ValueError(f"the same id twice: {', '.join(sorted(doubles))}")
    unknown = sorted(_unknown(checks))
    if unknown:
        raise ValueError("; ".join(unknown))
    return checks


Checks = Annotated[tuple[Check, ...], AfterValidator(_consistent)]
"""A list of checks with unique ids, in which every ``${name}`` is saved by an earlier step."""


def environment_names(checks: Sequence[Check]) -> set[str]:
    """Return the environment variables that checks read by ``${env:NAME}``."""
    used = set().union(*(placeholders(step) for check in checks for step in steps(check)), set())
    return {name.removeprefix("env:") for name in used if name.startswith("env:")}


def preview_checks(
    checks: Sequence[Check], *, proxied: bool = True
) -> tuple[HttpCheck | WebSocketCheck, ...]:
    """Return the checks that are asked of a colour on its host, before users see it.

    Args:
        checks: What the release declares.
        proxied: Whether the release has a site; without one only single requests can be asked.
    """
    return tuple(
        check
        for check in checks
        if isinstance(check, HttpCheck | WebSocketCheck)
        and _previewed(check)
        and (proxied or _direct(check))
    )


def _previewed(check: HttpCheck | WebSocketCheck) -> bool:
    if check.preview is not None:
        return check.preview
    safe = isinstance(check, WebSocketCheck) or check.request.method in SAFE
    return safe and _obstacle(check) is None


def _direct(check: HttpCheck | WebSocketCheck) -> bool:
    return isinstance(check, HttpCheck) and check.request.scheme == "https"

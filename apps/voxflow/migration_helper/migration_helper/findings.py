"""What keeps a client from using tenants' routes, found by asking."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from .calls import Answer, Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .calls import Calls

AGENTS, PROFILE, COMPATIBILITY = "/api/agents", "/api/auth/profile", "/api/migration/compatibility"
CLAIMS = ("role", "subscription_tier", "max_agents", "monthly_token_quota")
LIMITS = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
NEARLY = 10
OK, UNAUTHORIZED, NOT_FOUND = 200, 401, 404


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """One thing to know or to change.

    Args:
        code: What programs tell it by.
        message: What people read.
        action: What to do about it.
    """

    code: str
    message: str
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Compatibility:
    """What was found.

    Args:
        contract: What the service gives this account: ``legacy`` or ``tenant``.
        available: Whether there is something to move to, or was it the only contract from the start.
        issues: What to know or to change; empty where the client may go on as it is.
        service: What the service itself says of moving; ``None`` where it knows nothing of it.
    """

    contract: str
    available: bool
    issues: tuple[Issue, ...]
    service: Mapping[str, Any] | None

    @property
    def compatible(self) -> bool:
        """Whether nothing is to be done."""
        return not self.issues


def compatibility(calls: Calls) -> Compatibility:
    """Ask what there is; changes nothing.

    Raises:
        Refused: The service refuses the token.
        Unreachable: It gives no answer before the deadline, or none that can be understood.
    """
    agents = calls.ask("GET", AGENTS)
    outdated = agents.status == UNAUTHORIZED and agents.refused().code == "TOKEN_OUTDATED"
    if agents.status != OK and not outdated:
        raise agents.refused()
    legacy = isinstance(agents.body, dict) and "agents" in agents.body
    if not legacy and not agents.enveloped:
        raise Unreachable(f"{calls.api_url} does not answer as VoxFlow does")
    nobody = calls.ask("GET", AGENTS, signed=False)
    moving = calls.ask("GET", COMPATIBILITY)
    if moving.status not in (OK, NOT_FOUND):
        raise moving.refused()
    service = moving.body["data"] if moving.status == OK else None
    room = None if legacy or outdated else calls.data("GET", PROFILE)["max_agents"]
    found = {
        issue.code: issue
        for issue in (
            *_of_token(calls.token),
            *_of_shapes(agents, nobody),
            *_of_limits(agents, legacy=legacy),
            *_of_room(agents, room),
            *_of_notice(agents),
            *_of_service(service, nobody),
        )
    }
    return Compatibility(
        contract="legacy" if legacy else "tenant",
        available=nobody.enveloped,
        issues=tuple(found.values()),
        service=service,
    )


def _of_token(token: str) -> Iterator[Issue]:
    missing = [name for name in CLAIMS if name not in claims(token)]
    if missing:
        yield Issue(
            code="TOKEN_OUTDATED",
            message=f"the token does not say {', '.join(missing)}",
            action="sign in again once the account has moved",
        )


def _of_shapes(agents: Answer, nobody: Answer) -> Iterator[Issue]:
    if isinstance(agents.body, dict) and "agents" in agents.body:
        yield Issue(
            code="AGENTS_SHAPE",
            message=f"{AGENTS} answers everybody's agents under agents, without success",
            action="read data, which are the account's own, where success is true",
        )
    if not nobody.enveloped:
        yield Issue(
            code="ERROR_FORMAT",
            message="failures are a text in error and the status",
            action="read message, error.code and request_id where success is false, too",
        )


def _of_limits(agents: Answer, *, legacy: bool) -> Iterator[Issue]:
    told = {name: agents.headers.get(name, "") for name in LIMITS}
    if legacy:
        yield Issue(
            code="RATE_LIMIT_NEW",
            message="this account is not limited yet, and will be once it has moved",
            action="on 429 wait for Retry-After, and watch X-RateLimit-Remaining",
        )
    elif not all(told.values()) and agents.status == OK:
        yield Issue(
            code="RATE_LIMIT_UNTOLD",
            message="answers do not tell how many requests are left",
            action="on 429 wait for Retry-After all the same",
        )
    elif told["X-RateLimit-Remaining"].isdigit() and int(told["X-RateLimit-Remaining"]) < NEARLY:
        yield Issue(
            code="RATE_LIMIT_NEAR",
            message=f"{told['X-RateLimit-Remaining']} of {told['X-RateLimit-Limit']} requests are left",
            action="ask less often",
        )


def _of_room(agents: Answer, room: int | None) -> Iterator[Issue]:
    if room is not None and len(agents.body["data"]) >= room:
        yield Issue(
            code="AGENTS_AT_LIMIT",
            message=f"{len(agents.body['data'])} agents are there, and {room} are the limit: none can be made",
            action="expect AGENT_LIMIT_EXCEEDED, or ask for a higher limit",
        )


def _of_notice(agents: Answer) -> Iterator[Issue]:
    since, until = agents.headers.get("Deprecation", ""), agents.headers.get("Sunset", "")
    if not since and not until:
        return
    parts = [AGENTS]
    if since.startswith("@") and since[1:].isdigit():
        parts.append(f"is deprecated since {datetime.fromtimestamp(int(since[1:]), UTC):%Y-%m-%d}")
    if until:
        parts.append(f"may be gone from {until} on")
    guide = agents.headers.get("Link", "").partition(">")[0].removeprefix("<")
    yield Issue(
        code="DEPRECATED",
        message=" ".join((parts[0], " and ".join(parts[1:]) or "is deprecated")),
        action=f"read {guide}" if guide else "move before that",
    )


def _of_service(service: Mapping[str, Any] | None, nobody: Answer) -> Iterator[Issue]:
    if service is None and not nobody.enveloped:
        yield Issue(
            code="NOTHING_TO_MIGRATE_TO",
            message="this version knows no tenants yet",
            action="ask again once 2.0.0 is live",
        )
    for each in (service or {}).get("issues", ()):
        yield Issue(code=each["code"], message=each["message"], action=each["action"])


def claims(token: str) -> dict[str, Any]:
    """Return what a token says, whoever signed it; nothing where it is none."""
    parts = token.split(".")
    try:
        text = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        said = json.loads(text)
    except (ValueError, IndexError):
        return {}
    return said if isinstance(said, dict) else {}

"""The parts of a check: a request, what it has to answer, a WebSocket conversation, a handshake."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    field_validator,
    model_validator,
)

PLACEHOLDER = re.compile(r"\$(\$\{|\{(?P<name>[^{}]*)\})")
NAME = r"^[a-z][a-z0-9_]*$"

Seconds = Annotated[float, Field(gt=0, le=600)]
Status = Annotated[int, Field(ge=100, le=599)]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=64)]
Pointer = Annotated[str, Field(pattern=r"^(/.*)?$")]
Capture = Annotated[str, Field(pattern=r"^(json:(/.*)?|header:.+|query:.+|cookie:.+)$")]
CaptureName = Annotated[str, Field(pattern=NAME)]


def placeholders(value: object) -> set[str]:
    """Return every ``${name}`` found in the strings of ``value``, however deep."""
    if isinstance(value, str):
        return {match["name"] for match in PLACEHOLDER.finditer(value) if match["name"] is not None}
    if isinstance(value, BaseModel):
        return placeholders(value.model_dump(exclude_defaults=True))
    if isinstance(value, dict):
        return placeholders(list(value)) | placeholders(list(value.values()))
    if isinstance(value, list | tuple):
        return set().union(*(placeholders(item) for item in value))
    return set()


class Declared(BaseModel):
    """A frozen record that refuses keys it does not know."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
    )


def _as_rule(value: object) -> object:
    return value if isinstance(value, dict | BaseModel) else {"equals": value}


class ValueRule(Declared):
    """What one value has to be; a bare scalar in its place means ``equals``.

    ``matches`` is a regular expression that is searched, not anchored. ``query`` reads the value as
    a URL and applies rules to its parameters, ``claims`` as a JSON Web Token and to what it says.
    ``present: false`` demands that nothing is there.
    """

    equals: JsonValue = None
    matches: str | None = None
    contains: str | None = None
    type: Literal["string", "integer", "number", "boolean", "object", "array", "null"] | None = None
    present: bool = True
    minimum: float | None = None
    maximum: float | None = None
    query: dict[str, Rule] = {}
    claims: dict[str, Rule] = {}

    @field_validator("matches")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                re.compile(PLACEHOLDER.sub("x", value))
            except re.error as error:
                raise ValueError(f"not a regular expression: {error}") from error
        return value


Rule = Annotated[ValueRule, BeforeValidator(_as_rule)]
ValueRule.model_rebuild()


def _as_request(value: object) -> object:
    """Read ``GET /health`` as a method and a path."""
    if isinstance(value, str):
        method, _, path = value.partition(" ")
        return {"method": method, "path": path}
    return value


class Request(Declared):
    """One HTTP request: ``path`` on the release's public name, or ``url`` anywhere.

    ``timeout_seconds`` bounds the whole exchange, redirects and body included. A bare string such
    as ``GET /health`` stands for method and path.
    """

    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] = "GET"
    path: Annotated[str, Field(pattern=r"^/")] | None = None
    url: Annotated[str, Field(pattern=r"^(https?://|\$\{)")] | None = None
    scheme: Literal["https", "http"] = "https"
    headers: dict[str, str] = {}
    body_json: JsonValue = Field(default=None, alias="json")
    form: dict[str, str] | None = None
    text: str | None = None
    follow: bool = False
    timeout_seconds: Seconds = 10.0

    @model_validator(mode="after")
    def _one_target_one_body(self) -> Request:
        if (self.path is None) == (self.url is None):
            raise ValueError("give either path or url")
        bodies = (self.body_json, self.form, self.text)
        if sum(body is not None for body in bodies) > 1:
            raise ValueError("give at most one of json, form and text")
        return self


class Expectation(Declared):
    """What the answer has to be. ``json`` is a subset: keys it does not name are free.

    ``paths`` maps JSON pointers (``/user/email``, ``/items/0/id``) to rules.
    """

    status: Status | Annotated[tuple[Status, ...], Field(min_length=1)] = 200
    headers: dict[str, Rule] = {}
    body_json: JsonValue = Field(default=None, alias="json")
    paths: dict[Pointer, Rule] = {}
    contains: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    within_seconds: Seconds | None = None

    @property
    def statuses(self) -> tuple[int, ...]:
        """Return the accepted statuses."""
        return self.status if isinstance(self.status, tuple) else (self.status,)


class Exchange(Declared):
    """A request, what it has to answer and what is kept of the answer.

    With ``tries`` it is sent again at once, so many times at the most, until the answer is as expected.
    """

    request: Annotated[Request, BeforeValidator(_as_request)]
    expect: Expectation = Expectation()
    save: dict[CaptureName, Capture] = {}
    tries: Annotated[int, Field(ge=1, le=10_000)] = 1


class Receive(Declared):
    """A message the server has to send: a JSON subset, a text, or a protocol-level ping.

    Messages that do not match are passed over until ``within_seconds`` are gone.
    """

    body_json: JsonValue = Field(default=None, alias="json")
    contains: str | None = None
    ping: bool = False
    within_seconds: Seconds = 5.0
    save: dict[CaptureName, Capture] = {}

    @model_validator(mode="after")
    def _something(self) -> Receive:
        if (self.body_json is not None) + (self.contains is not None) + self.ping != 1:
            raise ValueError("give exactly one of json, contains and ping")
        if any(not source.startswith("json:") for source in self.save.values()):
            raise ValueError("a message has only json: to save from")
        return self


class Turn(Declared):
    """One turn of a WebSocket conversation: send something, then wait for something, or either."""

    send: JsonValue = None
    receive: Receive | None = None

    @model_validator(mode="after")
    def _either(self) -> Turn:
        if self.send is None and self.receive is None:
            raise ValueError("give send, receive or both")
        return self


class Close(Declared):
    """How the connection has to end: who closes it, and the code the server's frame carries."""

    by: Literal["client", "server"] = "client"
    code: Annotated[int, Field(ge=1000, le=4999)] = 1000
    within_seconds: Seconds = 5.0


class WebSocket(Declared):
    """A WebSocket conversation. With ``refused`` the upgrade has to end in that status instead."""

    path: Annotated[str, Field(pattern=r"^/")]
    headers: dict[str, str] = {}
    subprotocols: tuple[str, ...] = ()
    open_seconds: Seconds = 5.0
    refused: Status | None = None
    turns: tuple[Turn, ...] = ()
    close: Close = Close()

    @model_validator(mode="after")
    def _refused_has_no_turns(self) -> WebSocket:
        if self.refused is not None and self.turns:
            raise ValueError("a refused connection has no turns")
        return self


class Conversation(Declared):
    """A WebSocket step of a flow."""

    websocket: WebSocket


class Tls(Declared):
    """The handshake: the lowest protocol that is accepted, and how long the certificate lasts."""

    minimum: Literal["TLSv1.2", "TLSv1.3"] = "TLSv1.2"
    days: Annotated[int, Field(ge=0)] = 7


class Retry(Declared):
    """Try the whole check again until it is green or ``seconds`` are gone."""

    seconds: Seconds
    every: Seconds = 0.5

"""The values behind ``${name}``: built in, from the release's environment, or captured."""

from __future__ import annotations

import re
import secrets
import threading
import urllib.parse
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from changeover import public_tls
from changeover.checks.records import PLACEHOLDER, ValueRule
from changeover.errors import InvalidInput
from changeover.executors.smoke.masking import masked
from changeover.secret import Redactor, Secret

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping
    from pathlib import Path


class CheckValueUnknown(InvalidInput):
    """A check reads a variable that the environment does not give."""


class NotSavedError(Exception):
    """A name has no value because the step that saves it was red."""

    def __init__(self, name: str) -> None:
        super().__init__(f"needs ${{{name}}}, which no green step has saved")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where the checks go.

    Args:
        public_url: ``https://name[:port]``, what users type.
        addresses: IP addresses by host name, for names that do not resolve; the name stays what
            TLS and ``Host`` carry.
        ca_certificate: The authority to trust, PEM; the machine's own ones when ``None``.
        http_port: The port of plain HTTP.
        tester: The token that gets past a page of maintenance there.
    """

    public_url: str
    addresses: Mapping[str, str] = field(default_factory=dict)
    ca_certificate: Path | None = None
    http_port: int = 80
    tester: Secret | None = None

    @property
    def host(self) -> str:
        """Return the public name."""
        return urllib.parse.urlsplit(self.public_url).hostname or ""

    @property
    def base(self) -> str:
        """Return the public URL without a slash at its end."""
        return self.public_url.rstrip("/")

    def headers(self, url: str) -> dict[str, str]:
        """Return what a request to an address carries beside its own; nothing where it is another's."""
        here = (urllib.parse.urlsplit(url).hostname or "") == self.host
        return {"X-Changeover-Tester": self.tester.reveal()} if self.tester and here else {}

    def url(self, path: str, scheme: str = "https") -> str:
        """Return the URL of a path on the public name."""
        if scheme == "http":
            port = "" if self.http_port == 80 else f":{self.http_port}"  # noqa: PLR2004 - HTTP's port
            return f"http://{self.host}{port}{path}"
        return f"{self.base}{path}"


@dataclass(slots=True)
class Values:
    """What the placeholders of one run stand for, and the masks of what must not be shown."""

    target: Target
    environment: Mapping[str, str | Secret]
    redactor: Redactor
    captured: dict[str, Any] = field(default_factory=dict)
    unique: str = field(default_factory=lambda: secrets.token_hex(4))
    _trusting: ssl.SSLContext | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, target: Target, environment: Mapping[str, str | Secret]) -> Values:
        """Begin a run; every secret of the environment is masked from here on."""
        hidden = (value for value in environment.values() if isinstance(value, Secret))
        tester = [target.tester] if target.tester else []
        return cls(target, environment, Redactor([*hidden, *tester]))

    def save(self, name: str, value: object) -> None:
        """Keep a captured value and mask it in everything that is said from now on."""
        with self._lock:
            self.captured[name] = value
            self.redactor.add(Secret(_text(value)))

    def trusting(self) -> ssl.SSLContext:
        """Return the one context that every connection of the run is opened under.

        Raises:
            AuthorityUnreadable: The authority's file is missing, or no certificate is in it.
        """
        with self._lock:
            if self._trusting is None:
                context = public_tls.trusting(self.target.ca_certificate)
                context.set_alpn_protocols(["http/1.1"])
                # urllib3 says so again for each connection, which frees what another thread may read.
                context.set_alpn_protocols = lambda _: None  # type: ignore[method-assign, assignment]
                self._trusting = context
            return self._trusting

    def shown(self, text: str) -> str:
        """Return ``text`` fit to be shown."""
        return masked(self.redactor(text))

    def value(self, name: str) -> Any:  # noqa: ANN401 - a capture is any JSON value
        """Return what ``${name}`` stands for.

        Raises:
            NotSavedError: The step that saves it was red.
            CheckValueUnknown: The environment has no such variable.
        """
        if name.startswith("env:"):
            variable = name.removeprefix("env:")
            if variable not in self.environment:
                raise CheckValueUnknown(
                    f"a smoke check reads {variable}, which this environment does not set",
                    hint=f"set {variable} in the environment's settings or take it out of the check",
                )
            value = self.environment[variable]
            return value.reveal() if isinstance(value, Secret) else value
        built_in = {
            "public_url": self.target.base,
            "public_host": self.target.host,
            "unique": self.unique,
        }
        if name in built_in:
            return built_in[name]
        if name not in self.captured:
            raise NotSavedError(name)
        return self.captured[name]

    def text(self, template: str, quote: Callable[[str], str] = str) -> str:
        """Return a string with its placeholders filled, each value quoted as its place needs."""

        def fill(match: re.Match[str]) -> str:
            if match["name"] is None:
                return "${"
            return quote(_text(self.value(match["name"])))

        return PLACEHOLDER.sub(fill, template)

    def path(self, template: str) -> str:
        """Return a path and query with its placeholders filled and percent-encoded."""
        return self.text(template, lambda text: urllib.parse.quote(text, safe=""))

    def filled(self, value: Any) -> Any:  # noqa: ANN401 - JSON in, JSON out
        """Return a JSON value with every string filled; a lone ``${name}`` keeps its type."""
        if isinstance(value, str):
            whole = PLACEHOLDER.fullmatch(value)
            if whole and whole["name"] is not None:
                return self.value(whole["name"])
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(key): self.filled(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.filled(item) for item in value]
        return value

    def rule(self, rule: ValueRule) -> ValueRule:
        """Return a rule with its strings filled."""
        return rule.model_copy(
            update={
                "equals": self.filled(rule.equals),
                "matches": None if rule.matches is None else self.text(rule.matches, re.escape),
                "contains": None if rule.contains is None else self.text(rule.contains),
                "query": {name: self.rule(inner) for name, inner in rule.query.items()},
                "claims": {name: self.rule(inner) for name, inner in rule.claims.items()},
            }
        )


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)

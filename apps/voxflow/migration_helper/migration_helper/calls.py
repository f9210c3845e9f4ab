"""Ask VoxFlow: failures of both shapes are understood, limits are waited for, all before one deadline."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from collections.abc import Mapping

RETRIES = 3
ANSWER_SECONDS = 15.0
TOO_MANY, AWAY = 429, 503


class Unreachable(Exception):
    """There was no answer before the deadline."""


class Refused(Exception):
    """The service refused a request.

    Args:
        status: Of HTTP.
        code: What programs tell it by; empty where a legacy failure names none.
        message: What people read.
        request_id: What its operators find the request by; empty where it names none.
    """

    def __init__(self, status: int, code: str, message: str, request_id: str) -> None:
        found = f" (request {request_id})" if request_id else ""
        super().__init__(f"{status} {code or message}: {message}{found}")
        self.status, self.code, self.message, self.request_id = status, code, message, request_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back.

    Args:
        status: Of HTTP.
        headers: By name, whatever its case.
        body: The document; ``None`` where it is none.
    """

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def enveloped(self) -> bool:
        """Whether it has the shape that tenants know."""
        return isinstance(self.body, dict) and "success" in self.body

    def refused(self) -> Refused:
        """Return the failure that it tells, in either shape."""
        said = self.body if isinstance(self.body, dict) else {}
        cause = said.get("error")
        if isinstance(cause, dict):
            message = str(said.get("message", ""))
            return Refused(
                self.status, str(cause.get("code", "")), message, str(said.get("request_id", ""))
            )
        return Refused(self.status, "", str(cause or "no reason was given"), "")


@dataclass(frozen=True, slots=True)
class Calls:
    """Requests of one account.

    Args:
        api_url: Where the service is.
        token: Whose it is.
        seconds: How long they may take together, waits included.
        end: When that is over, by the monotonic clock.
    """

    api_url: str
    token: str
    seconds: float
    end: float = 0.0

    def begun(self) -> Calls:
        """Return them with the deadline begun."""
        return replace(self, end=time.monotonic() + self.seconds)

    def ask(self, method: str, path: str, *, signed: bool = True) -> Answer:
        """Ask, and ask again where the service says that it may later.

        Args:
            method: Of HTTP; what is asked here may be asked twice.
            path: From ``/api`` on.
            signed: Whether the token goes along.

        Raises:
            Unreachable: There was no answer before the deadline.
        """
        for tried in range(RETRIES + 1):
            answer, why = self._once(method, path, signed=signed)
            if answer is not None and answer.status not in (TOO_MANY, AWAY):
                return answer
            wait = _wait(answer, tried)
            if tried == RETRIES or time.monotonic() + wait >= self.end:
                if answer is not None:
                    return answer
                raise Unreachable(f"{self.api_url} gives no answer: {why}")
            time.sleep(wait)
        raise AssertionError("the last try ends it")

    def data(self, method: str, path: str) -> Any:  # noqa: ANN401 - JSON
        """Ask, and return the ``data`` of the answer.

        Raises:
            Refused: It is a failure.
            Unreachable: There was none before the deadline.
        """
        answer = self.ask(method, path)
        if answer.status != requests.codes.ok or not answer.enveloped:
            raise answer.refused()
        return answer.body["data"]

    def _once(self, method: str, path: str, *, signed: bool) -> tuple[Answer | None, str]:
        left = self.end - time.monotonic()
        if left <= 0:
            raise Unreachable(f"{self.api_url} was asked for {self.seconds:g} s")
        headers = {"Authorization": f"Bearer {self.token}"} if signed else {}
        try:
            found = requests.request(
                method,
                self.api_url.rstrip("/") + path,
                headers={"Accept": "application/json", **headers},
                timeout=min(left, ANSWER_SECONDS),
                allow_redirects=False,
            )
        except requests.RequestException as error:
            # Its text may hold the address with what stands in it.
            return None, type(error).__name__
        try:
            body = found.json()
        except ValueError:
            body = None
        return Answer(status=found.status_code, headers=found.headers, body=body), ""


def _wait(answer: Answer | None, tried: int) -> float:
    """Return for how long to wait: as the answer says in seconds, or 1, 2, 4."""
    said = answer.headers.get("Retry-After", "") if answer is not None else ""
    return float(said) if said.isdigit() else float(2**tried)

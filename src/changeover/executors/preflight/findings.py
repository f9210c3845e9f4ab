"""What preflight says: one finding a question and host, and the outcome of all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from changeover.errors import ChangeoverError, CheckRed

Status = Literal["ok", "warn", "red"]


class PreflightRed(CheckRed):
    """The hosts do not fit the release."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The answer to one question about one host.

    Args:
        id: What was asked: ``node``, ``disk``, ``port-443``.
        status: ``red`` stops a deployment, ``warn`` does not.
        host: Its inventory name; ``None`` where it is about the environment.
        message: What is, and what it should be.
        next: The next step; empty where it is ok.
        cause: What the other side said.
        error: The failure behind a red finding, where there was one.
    """

    id: str
    status: Status
    host: str | None
    message: str
    next: str = ""
    cause: str | None = None
    error: ChangeoverError | None = None

    @classmethod
    def of(cls, error: ChangeoverError, question: str) -> Finding:
        """Return a failure as a red finding."""
        return cls(
            id=question,
            status="red",
            host=error.host,
            message=error.message,
            next=error.hint,
            cause=error.cause,
            error=error,
        )

    @classmethod
    def ranked(
        cls,
        question: str,
        host: str,
        holds: str,
        *,
        red: tuple[str, str] | None,
        warn: tuple[str, str] | None,
    ) -> Finding:
        """Return what is held against a minimum and a recommendation.

        Args:
            question: What was asked.
            host: The host's inventory name.
            holds: What is there.
            red: What the minimum says and the next step, where it is not reached.
            warn: What the recommendation says and the next step, where it is not reached.
        """
        status: Status = "red" if red else "warn" if warn else "ok"
        says, following = red or warn or ("", "")
        message = f"{holds}, {says}" if says else holds
        return cls(id=question, status=status, host=host, message=message, next=following)

    def as_event(self) -> dict[str, Any]:
        """Return the finding as one JSON-ready event."""
        return {
            "type": "check",
            "id": self.id,
            "ok": self.status != "red",
            "status": self.status,
            "host": self.host,
            "message": self.message,
            "next": self.next,
            "cause": self.cause,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightOutcome:
    """All findings, host by host."""

    findings: tuple[Finding, ...]
    seconds: float

    @property
    def red(self) -> tuple[Finding, ...]:
        """Return what stops a deployment."""
        return tuple(finding for finding in self.findings if finding.status == "red")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """Return what is below the recommendation."""
        return tuple(finding for finding in self.findings if finding.status == "warn")

    @property
    def ok(self) -> bool:
        """Return whether nothing is red."""
        return not self.red

    def require_green(self) -> None:
        """Raise unless nothing is red: the failure itself where there is one only.

        Raises:
            CheckRed: What is red, each with its host; the hint is the first one's next step.
        """
        # The same host may be away for several questions: that is one failure.
        red = list({(found.host, found.message): found for found in self.red}.values())
        if not red:
            return
        if len(red) == 1 and red[0].error is not None:
            raise red[0].error
        first = red[0]
        many = f" (and {len(red) - 1} more)" if len(red) > 1 else ""
        raise PreflightRed(
            f"{first.message}{many}",
            hint=first.next,
            host=first.host,
            cause=first.cause
            if not many
            else "\n".join(f"{found.host or 'all'}: {found.message}" for found in red),
        )

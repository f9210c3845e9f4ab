"""How an action fails: a fact in kebab case, a sentence, and what the system said about it."""

from __future__ import annotations


class ActionError(Exception):
    """An action failed; the host is as it was, or the sentence says what is not.

    Args:
        error: The fact, in kebab case, for programs: ``lock-held``, ``unit-failed``.
        message: One sentence for a person.
        cause: What the other side said: a log tail, ``nginx -t``, a health body.
        hint: What to do next, where the agent knows it better than the controller.
        detail: Further fields of the failure line, JSON-ready.
    """

    def __init__(
        self,
        error: str,
        message: str,
        *,
        cause: str | None = None,
        hint: str | None = None,
        **detail: object,
    ) -> None:
        super().__init__(message)
        self.error = error
        self.message = message
        self.cause = cause
        self.hint = hint
        self.detail = detail

    def as_fields(self) -> dict[str, object]:
        """Return the failure as the fields of one JSON line."""
        fields: dict[str, object] = {"error": self.error, "message": self.message}
        if self.cause:
            fields["cause"] = self.cause
        if self.hint:
            fields["hint"] = self.hint
        return {**self.detail, **fields}

"""What an administrator asks for: one step, from a version to another; read from JSON and checked."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MOST_MIGRATIONS = 10
MOST_RETRIES = 10
MOST_DELAY_MS = 60_000
MOST_CHARACTERS = 10_000
MOST_ROLES = 100
MOST_CHUNK = 100_000
MOST_VERSION = 2**31 - 1
MOST_WEIGHT = 10_000
REQUIRED = ("stepId", "fromVersion", "toVersion")
OPTIONAL = ("newStepData", "dryRun", "maxRetries", "retryDelayMs", "chunkSize")
RETRIES, DELAY_MS = 3, 1000
BOUNDS = {"maxRetries": MOST_RETRIES, "retryDelayMs": MOST_DELAY_MS, "chunkSize": MOST_CHUNK}


class Unfit(Exception):
    """The request cannot be meant; ``body`` is what the guide answers to it."""

    def __init__(self, error: str, **more: object) -> None:
        super().__init__(error)
        self.body = {"error": error, **more}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One migration that is asked for.

    Args:
        step: The step's id.
        before: The version that users are on.
        after: The version that they are to be on.
        changes: What the new version has otherwise, by column.
        dry_run: Whether nothing may be written.
        retries: How often a transient failure of the database is tried again.
        delay: Seconds before the first retry; each further one waits twice as long.
        chunk: How many users one transaction takes; 0 for all of them, ``None`` for what suits.
    """

    step: str
    before: int
    after: int
    changes: Mapping[str, Any] = field(default_factory=dict)
    dry_run: bool = False
    retries: int = RETRIES
    delay: float = DELAY_MS / 1000
    chunk: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Return which migration it is, as answers, log and events name it."""
        return {"stepId": self.step, "fromVersion": self.before, "toVersion": self.after}


def read(body: bytes) -> tuple[list[Wish], bool]:
    """Return the migrations of a request's body, and whether they are a batch.

    Raises:
        Unfit: The body is not what the guide describes.
    """
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        raise Unfit("Validation failed", errors=["the body is not JSON"]) from None
    if not isinstance(asked, list):
        return [_wish(asked, "")], False
    if len(asked) > MOST_MIGRATIONS:
        raise Unfit("Batch size too large", max=MOST_MIGRATIONS, received=len(asked))
    if not asked:
        raise Unfit("Validation failed", errors=["the batch is empty"])
    wishes = [_wish(each, f"[{place}]: ") for place, each in enumerate(asked)]
    if errors := _unforeseeable(wishes):
        raise Unfit("Validation failed", errors=errors)
    return wishes, True


def _unforeseeable(wishes: Sequence[Wish]) -> list[str]:
    """Tell which dry runs come after another of their step: it has left nothing to judge them by."""
    foreseen: set[str] = set()
    found = []
    for place, wish in enumerate(wishes):
        if wish.dry_run and wish.step in foreseen:
            found.append(
                f"[{place}]: {wish.step} has another dry run before it in this batch, which leaves nothing"
                " behind: ask for one of them at a time"
            )
        elif wish.dry_run:
            foreseen.add(wish.step)
    return found


def _wish(asked: object, where: str) -> Wish:
    if not isinstance(asked, dict):
        raise Unfit("Validation failed", errors=[f"{where}a migration is an object"])
    if any(asked.get(name) is None for name in REQUIRED):
        raise Unfit("Missing required fields", required=list(REQUIRED))
    if not (_is_integer(asked["fromVersion"]) and _is_integer(asked["toVersion"])):
        raise Unfit("fromVersion and toVersion must be integers")
    errors = [f"{where}{error}" for error in _errors(asked)]
    changes, unfit = _changes(asked.get("newStepData"))
    errors += [f"{where}newStepData.{error}" for error in unfit]
    if errors:
        raise Unfit("Validation failed", errors=errors)
    return Wish(
        step=asked["stepId"],
        before=asked["fromVersion"],
        after=asked["toVersion"],
        changes=changes,
        dry_run=asked.get("dryRun", False),
        retries=asked.get("maxRetries", RETRIES),
        delay=asked.get("retryDelayMs", DELAY_MS) / 1000,
        chunk=asked.get("chunkSize"),
    )


def _errors(asked: Mapping[str, Any]) -> list[str]:
    found = [f"{name} is not known" for name in sorted(asked) if name not in REQUIRED + OPTIONAL]
    if not _is_text(asked["stepId"]) or not asked["stepId"]:
        found.append("stepId must be text")
    before, after = asked["fromVersion"], asked["toVersion"]
    if not (0 < before <= MOST_VERSION and 0 < after <= MOST_VERSION):
        found.append(f"versions are from 1 to {MOST_VERSION}")
    elif after <= before:
        found.append("toVersion must be greater than fromVersion")
    if not isinstance(asked.get("dryRun", False), bool):
        found.append("dryRun must be true or false")
    for name, most in BOUNDS.items():
        if name in asked and not (_is_integer(asked[name]) and 0 <= asked[name] <= most):
            found.append(f"{name} must be an integer from 0 to {most}")
    return found


def _changes(asked: object) -> tuple[dict[str, Any], list[str]]:
    """Return the columns that a new version has otherwise, and what of them is unfit."""
    if asked is None:
        return {}, []
    if not isinstance(asked, dict):
        return {}, ["* must be an object"]
    unfit = [f"{name} is not known" for name in sorted(asked) if name not in COLUMNS]
    unfit += [
        f"{name} must be {what}"
        for name, (_, fits, what) in COLUMNS.items()
        if name in asked and not fits(asked[name])
    ]
    return {COLUMNS[name][0]: asked[name] for name in asked if name in COLUMNS}, unfit


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_text(value: object) -> bool:
    """Tell whether a value is text that PostgreSQL can keep."""
    if not isinstance(value, str) or len(value) > MOST_CHARACTERS or "\0" in value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a pair
        return False
    return True


def _is_weight(value: object) -> bool:
    return isinstance(value, int) and _is_integer(value) and 0 <= value <= MOST_WEIGHT


def _is_roles(value: object) -> bool:
    return isinstance(value, list) and len(value) <= MOST_ROLES and all(map(_is_text, value))


def _is_rule(value: object) -> bool:
    """Tell whether a value is an object that ``jsonb`` can keep."""
    if not isinstance(value, dict):
        return False
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        escaped = json.dumps(value)
    except (ValueError, RecursionError):
        return False
    return _is_text(text) and "\\u0000" not in escaped


COLUMNS = {
    "title": ("title", _is_text, "text"),
    "description": ("description", _is_text, "text"),
    "required": ("required", lambda value: isinstance(value, bool), "true or false"),
    "weight": ("weight", _is_weight, f"an integer from 0 to {MOST_WEIGHT}"),
    "roleVisibility": ("role_visibility", _is_roles, f"at most {MOST_ROLES} roles"),
    "marketRule": ("market_rule", _is_rule, "an object"),
}

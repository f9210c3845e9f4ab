"""Which environments faults may be injected into, and what is sent there meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from changeover.errors import InvalidInput
from changeover.inventory.variables import VariableInvalid

if TYPE_CHECKING:
    from changeover.inventory import Environment

VARIABLE = "changeover_drill"
RATE = 20.0
KEYS = {
    "path": str,
    "body": str,
    "rate": float,
    "rows": str,
    "sign_in": dict,
    "websockets": int,
    "websocket_path": str,
}
SIGN_IN_KEYS = {"path", "body", "token"}


class DrillUndeclared(InvalidInput):
    """The environment is not declared for drills, so nothing is injected there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What an environment says of drills with one app.

    Args:
        path: Where writes are sent as POSTs; ``None`` where the load is the user's own.
        body: Their JSON; ``{id}`` is replaced by the request id.
        rate: Requests a second.
        rows: SQL that returns the request ids of acknowledged writes, one a row; ``None`` where
            they cannot be looked up.
        sign_in: ``path``, ``body`` and the answer's field ``token``; ``None`` for no sign-in.
        websockets: How many WebSockets are held.
        websocket_path: Where they are opened.
    """

    path: str | None = None
    body: str = "{}"
    rate: float = RATE
    rows: str | None = None
    sign_in: dict[str, str] | None = None
    websockets: int = 0
    websocket_path: str = "/ws"


def declared(environment: Environment, app: str) -> Declared:
    """Return what the environment declares.

    Raises:
        DrillUndeclared: It declares nothing for the app.
        VariableInvalid: What it declares cannot be used.
    """
    value = environment.variables.get(VARIABLE)
    file = environment.file_of(VARIABLE)
    if value is None or (isinstance(value, dict) and app not in value):
        raise DrillUndeclared(
            f"environment {environment.name} is not declared for drills of {app}",
            hint=f"where faults may be injected, and only there, set {VARIABLE} with {app} in {file}",
        )
    given = value.get(app) if isinstance(value, dict) else value
    problem = _problem(given)
    if problem:
        raise VariableInvalid(f"{file}: {VARIABLE}.{app}: {problem}", hint=f"correct {file}")
    return Declared(**(given or {}))


def _problem(given: Any) -> str | None:  # noqa: ANN401 - a document as it was written
    if given is not None and not isinstance(given, dict):
        return "it must be a mapping, {} for a load of your own"
    for name, value in (given or {}).items():
        if name not in KEYS:
            return f"unknown key {name}; it has {', '.join(KEYS)}"
        wanted = (int, float) if KEYS[name] is float else KEYS[name]
        if not isinstance(value, wanted) or isinstance(value, bool):
            return f"{name} is not of type {KEYS[name].__name__}"
    sign_in = (given or {}).get("sign_in", {})
    if sign_in and set(sign_in) != SIGN_IN_KEYS:
        return f"sign_in has the keys {', '.join(sorted(SIGN_IN_KEYS))}"
    return None

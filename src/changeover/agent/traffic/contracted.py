"""Which versions began to take away, in the database, what older ones need: kept where users are sent back.

The database's ledger says so exactly; this host knows it where the database cannot be asked.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from changeover.agent import names
from changeover.agent.system import durable

if TYPE_CHECKING:
    from pathlib import Path

    from changeover.agent.call import Call, Result
    from changeover.agent.parameters import Parameters
    from changeover.agent.places import Places


def _path(places: Places) -> Path:
    return places.state / "contracted.json"


def read(places: Places) -> tuple[str, ...]:
    """Return the colours whose contract migrations were begun, oldest first."""
    try:
        return tuple(json.loads(_path(places).read_bytes())["colours"])
    except FileNotFoundError:
        return ()


def begin(call: Call, given: Parameters) -> Result:
    """Remember, before it happens, that a colour's contract migrations run."""
    given.only("colour")
    colour = given.colour()
    known = read(call.places)
    if colour in known:
        return {"contracted": list(known), "skipped": True}
    _write(call.places, (*known, colour))
    return {"contracted": [*known, colour]}


def went_back(places: Places, target: str | None) -> None:
    """Forget what belongs to later versions than the one that users went back to: it reads the database."""
    known = read(places)
    kept = tuple(
        each for each in known if target is not None and names.order(each) <= names.order(target)
    )
    if kept != known:
        _write(places, kept)


def _write(places: Places, colours: tuple[str, ...]) -> None:
    durable.ensure_directory(places.state, 0o700)
    durable.write(_path(places), json.dumps({"colours": colours}).encode())

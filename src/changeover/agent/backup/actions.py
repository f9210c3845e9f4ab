"""The host's backup actions: what a request asks for, handed to the module that does it.

Fetching an attachment and every answer here are free of plain secrets: what the controller attaches
is encrypted before it comes, and leaves as it came.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from changeover.agent import names
from changeover.agent.backup import (
    attach,
    create,
    diff,
    estimate,
    leftovers,
    price,
    rehearsal,
    restore,
    retention,
    unfinished,
    verify,
    withdrawal,
)
from changeover.agent.backup.store import Store
from changeover.agent.failure import ActionError
from changeover.agent.physical import pgbackrest, recovery, scratch, state
from changeover.agent.postgres.tools import Server

if TYPE_CHECKING:
    from collections.abc import Callable

    from changeover.agent.call import Call, Result
    from changeover.agent.parameters import Parameters

    Action = Callable[[Call, Parameters], Result]

BACKUPS = "var/backups/changeover"
MOST_CONTENT = 48 << 20
MOST_EXAMPLES = 100
# PostgreSQL keeps 63 bytes of a point's name.
POINT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def store_of(call: Call) -> Store:
    """Return the app's backups on this host.

    The host record may say how the server is reached, as ``{"postgresql": {"socket", "port",
    "binaries"}}``; by default it is as Debian sets it up.

    Raises:
        ActionError: ``no-database`` when provision gave the app none here.
    """
    database = (call.app.database or {}).get("name")
    if not database:
        raise ActionError("no-database", f"{call.app.name} has no database on this host")
    return Store(
        root=call.host.root / BACKUPS / call.app.name,
        app=call.app.name,
        database=database,
        server=_server(call),
    )


def _server(call: Call) -> Server:
    reach: dict[str, Any] = dict(call.host.record.get("postgresql") or {})
    if "binaries" in reach:
        reach["binaries"] = Path(reach["binaries"])
    return Server(**reach, say=call.progress)


def _create(call: Call, parameters: Parameters) -> Result:
    parameters.only("backup", "release", "colour", "schema_version", "expects", "jobs")
    expects = parameters.sequence("expects") if parameters.has("expects") else []
    wish = create.Wish(
        backup=parameters.text("backup"),
        release=parameters.text("release", ""),
        colour=parameters.text("colour", ""),
        schema_version=parameters.text("schema_version", ""),
        expects=tuple(str(member) for member in expects),
        jobs=int(parameters.number("jobs", 0, most=64)),
    )
    store = store_of(call)
    scratch.cleared(store)
    return create.create(store, wish)


def _list(call: Call, parameters: Parameters) -> Result:
    parameters.only()
    store = store_of(call)
    backups = retention.found(store)
    beside = None  # no server is no reason to show no backup
    with contextlib.suppress(ActionError):
        beside = leftovers.found(store, [one["backup"] for one in backups])
    cut_off = unfinished.told(store)
    return {"backups": backups, "databases": beside, "unfinished": cut_off}


def _attach(call: Call, parameters: Parameters) -> Result:
    parameters.only("backup", "member", "content_base64")
    content = parameters.text("content_base64", longest=MOST_CONTENT)
    backup, member = parameters.text("backup"), parameters.text("member")
    return attach.attach(store_of(call), backup, member, content)


def _fetch(call: Call, parameters: Parameters) -> Result:
    parameters.only("backup", "member")
    backup, member = parameters.text("backup"), parameters.text("member")
    return attach.fetch(store_of(call), backup, member)


def _verify(call: Call, parameters: Parameters) -> Result:
    parameters.only("backup", "keep", "jobs")
    return verify.verify(
        store_of(call),
        parameters.text("backup"),
        keep=parameters.flag("keep"),
        jobs=int(parameters.number("jobs", 0, most=64)),
    )


def _price(call: Call, parameters: Parameters) -> Result:
    parameters.only("backup")
    return price.price(store_of(call), parameters.text("backup"))


def _estimate(call: Call, parameters: Parameters) -> Result:
    parameters.only("backup")
    return estimate.estimate(store_of(call), parameters.text("backup"))


def _diff(call: Call, parameters: Parameters) -> Result:
    parameters.only("database", "examples")
    store = store_of(call)
    return diff.diff(
        store,
        [one["backup"] for one in retention.found(store)],
        parameters.text("database", ""),
        examples=int(parameters.number("examples", 0, most=MOST_EXAMPLES)),
    )


def _restore(call: Call, parameters: Parameters) -> Result:
    parameters.only("backup", "jobs")
    backup, jobs = parameters.text("backup"), int(parameters.number("jobs", 0, most=64))
    return restore.restore(store_of(call), backup, call.deployment, jobs=jobs)


def _told(call: Call, parameters: Parameters) -> Result:
    parameters.only("backup")
    return restore.told(store_of(call), parameters.text("backup"))


def _due(call: Call, parameters: Parameters) -> Result:
    parameters.only("keep")
    store = store_of(call)
    due = retention.due(store, int(parameters.number("keep", least=1)))
    return due | {"unfinished": unfinished.told(store)}


def _retain(call: Call, parameters: Parameters) -> Result:
    parameters.only("keep", "agreed")
    agreed = [str(name) for name in parameters.sequence("agreed")]
    return retention.retain(store_of(call), int(parameters.number("keep", least=1)), agreed)


def _rehearse(call: Call, parameters: Parameters) -> Result:
    parameters.only("backup", "jobs")
    backup, jobs = parameters.text("backup"), int(parameters.number("jobs", 0, most=64))
    return rehearsal.begin(store_of(call), backup, jobs=jobs)


def _rehearsed(call: Call, parameters: Parameters) -> Result:
    parameters.only("backup")
    return rehearsal.look(store_of(call), parameters.text("backup"))


def _schema(call: Call, parameters: Parameters) -> Result:
    parameters.only()
    return rehearsal.live_schema(store_of(call))


def _rehearsal_end(call: Call, parameters: Parameters) -> Result:
    parameters.only("backup", "keep")
    backup, keep = parameters.text("backup"), parameters.flag("keep")
    return rehearsal.end(store_of(call), backup, keep=keep)


def _withdraw(call: Call, parameters: Parameters) -> Result:
    parameters.only("backup")
    return withdrawal.withdraw(store_of(call), parameters.text("backup"))


def _physical(call: Call, parameters: Parameters) -> Result:
    parameters.only("kind")
    kind = names.checked("kind", re.compile("full|diff"), parameters.text("kind"))
    return pgbackrest.back_up(pgbackrest.required(call, _server(call)), kind)


def _repository(call: Call, parameters: Parameters) -> Result:
    parameters.only()
    pgbackrest.required(call, _server(call)).info()
    return {}


def _archive(call: Call, parameters: Parameters) -> Result:
    parameters.only()
    store = store_of(call)
    look = state.look(store, pgbackrest.required(call, store.server))
    try:
        left = scratch.left(store)
    except ActionError:
        left = None  # as of the archiver
    return look | {"drilled": recovery.drilled(store), "scratch_bytes": left}


def _check(call: Call, parameters: Parameters) -> Result:
    parameters.only()
    store = store_of(call)
    state.see_arrive(store, pgbackrest.required(call, store.server))
    return {}


def _point(call: Call, parameters: Parameters) -> Result:
    parameters.only("point", "before")
    store = store_of(call)
    pgbackrest.required(call, store.server)
    name = names.checked("point", POINT, parameters.text("point"))
    return state.mark(store, name, call.deployment, parameters.text("before", ""))


def _recover(call: Call, parameters: Parameters) -> Result:
    parameters.only("backup", "at")
    store = store_of(call)
    archive = pgbackrest.required(call, store.server)
    return recovery.recover(store, archive, parameters.text("at"), parameters.text("backup"))


def _drill(call: Call, parameters: Parameters) -> Result:
    parameters.only("at")
    store = store_of(call)
    archive = pgbackrest.required(call, store.server)
    return recovery.drill(store, archive, parameters.text("at", ""))


def _tended(act: Action) -> Action:
    """Return an action that first opens what a restore that was cut off left shut."""

    def tending(call: Call, parameters: Parameters) -> Result:
        unfinished.tend(store_of(call))
        return act(call, parameters)

    return tending


_ACTS: dict[str, Action] = {
    "backup_create": _create,
    "backup_list": _list,
    "backup_attach": _attach,
    "backup_fetch": _fetch,
    "backup_verify": _verify,
    "backup_price": _price,
    "backup_estimate": _estimate,
    "backup_diff": _diff,
    "backup_restore": _restore,
    "backup_told": _told,
    "backup_due": _due,
    "backup_retain": _retain,
    "backup_rehearsal": _rehearse,
    "backup_rehearsed": _rehearsed,
    "backup_rehearsal_end": _rehearsal_end,
    "backup_withdraw": _withdraw,
    "backup_physical": _physical,
    "backup_repository": _repository,
    "backup_archive": _archive,
    "backup_check": _check,
    "backup_point": _point,
    "backup_recover": _recover,
    "backup_drill": _drill,
    "backup_schema": _schema,
}
ACTIONS = {name: _tended(act) for name, act in _ACTS.items()}

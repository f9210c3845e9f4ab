"""Walk a request's actions: fence, journal the intent, act, journal the end, tell the controller."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from changeover.agent import ending, lease, running, survey, turn
from changeover.agent.call import Call
from changeover.agent.colour import place, processes, retire
from changeover.agent.failure import ActionError
from changeover.agent.journal import Journal, told, written
from changeover.agent.parameters import Parameters
from changeover.agent.system import reserve
from changeover.agent.system.clock import stamp
from changeover.agent.traffic import canary, contracted, fence, maintenance, switch

if TYPE_CHECKING:
    from collections.abc import Callable

    from changeover.agent.call import Result
    from changeover.agent.host import Host
    from changeover.agent.protocol import Action, Replies, Request

    Function = Callable[[Call, Parameters], Result]

WAY_BACK = {"revert", "canary_end"}
TAKING = {"lock", "steal"}
READING_APART = {
    *(
        "backup_archive",
        "backup_repository",
        "backup_list",
        "backup_fetch",
        "backup_price",
        "backup_estimate",
        "backup_diff",
        "backup_due",
        "backup_schema",
    ),
    "migrator_left",
    "migrator_output",
    "task_left",
    "task_output",
}


def _backup() -> dict[str, Function]:
    from changeover.agent.backup import actions  # noqa: PLC0415 - a third of what a start costs

    return actions.ACTIONS


def _migrator() -> dict[str, Function]:
    from changeover.agent.migrator import actions  # noqa: PLC0415 - few apps have one

    return actions.ACTIONS


def _task() -> dict[str, Function]:
    from changeover.agent.task import actions  # noqa: PLC0415 - few deployments have one

    return actions.ACTIONS


def _smoke(call: Call, given: Parameters) -> Result:
    from changeover.agent.smoke import checks  # noqa: PLC0415 - its libraries are a fifth of what a start costs

    return checks.smoke(call, given)


# Change nothing, need no lease, and are not written down.
READING: dict[str, Function] = {
    "state": survey.state,
    "health": processes.health,
    "collect": survey.collect,
    "drift": survey.drift,
    "logs": survey.logs,
    "journal": survey.journal,
}
# Change the lease alone; who may is their own question. Renewals are not written down.
LEASING: dict[str, Function] = {
    "lock": lease.lock,
    "renew": lease.renew,
    "unlock": lease.unlock,
    "steal": lease.steal,
}
# Keep alive what this deployment has begun. They need its lease, wait for nobody, and are not written down.
RENEWING: dict[str, Function] = {"canary_look": canary.look}
ACTING: dict[str, Function] = {
    "place": place.place,
    "canary": canary.begin,
    "canary_end": canary.give_up,
    "start": processes.start,
    "smoke": _smoke,
    "switch": switch.switch,
    "confirm": switch.confirm,
    "revert": switch.revert,
    "stop": processes.stop,
    "retire": retire.retire,
    "prune": retire.prune,
    "withdraw": retire.withdraw,
    "contract_begins": contracted.begin,
    "maintenance_on": maintenance.on,
    "maintenance_off": maintenance.off,
    "fence": fence.fence,
    "unfence": fence.unfence,
    "end": ending.end,
}


def changes(request: Request) -> bool:
    """Tell whether a request may change this host."""
    return any(not _reads(action.name) for action in request.actions)


def acts(request: Request) -> bool:
    """Tell whether a request changes more than the lease, so that it has a unit of its own."""
    kept = {*LEASING, *RENEWING}
    return any(not _reads(action.name) and action.name not in kept for action in request.actions)


def brief(request: Request) -> bool:
    """Tell whether a request changes nothing but the lease or a share's time: it is over in a moment."""
    kept = {*LEASING, *RENEWING, *READING}
    return changes(request) and all(action.name in kept for action in request.actions)


def run(host: Host, request: Request, replies: Replies, unit: str = "") -> bool:
    """Run the actions in order up to the first failure; tell whether all were done.

    A controller that is gone is noticed between two actions: the one at hand is finished, the next
    one is not begun.

    Args:
        host: This host.
        request: The actions.
        replies: Hears of them.
        unit: The unit that this process is in.
    """
    if not changes(request) or request.app not in host.apps:
        return _walk(host, request, replies, running.Record(None))
    places, aside = host.places(request.app), not acts(request)
    with running.recorded(places, request, unit, aside=aside) as record:
        replies.also = record.note
        return _walk(host, request, replies, record)


def _walk(host: Host, request: Request, replies: Replies, record: running.Record) -> bool:
    for action in request.actions:
        replies.send("intent", id=action.id, action=action.name, at=stamp())
        if replies.lost:
            return False
        try:
            result = _one(host, request, action, replies, record)
        except ActionError as error:
            replies.failed(action.id, error)
            return False
        skipped = bool(result.pop("skipped", False))
        replies.send("done", id=action.id, result=result, skipped=skipped)
    return True


def _one(
    host: Host, request: Request, action: Action, replies: Replies, record: running.Record
) -> Result:
    call = Call(
        host=host,
        app=host.app(request.app),
        deployment=request.deployment,
        fence=request.fence,
        progress=lambda message: replies.send("progress", id=action.id, message=message),
    )
    if action.name in LEASING:
        record.begins(action)
        return _leased(call, action)
    if action.name in RENEWING:
        record.begins(action)
        lease.check(call)
        return _guarded(RENEWING[action.name], call, action)
    function = _function(action.name)
    if _reads(action.name):
        return _guarded(function, call, action)
    lease.check(call)
    if (result := running.adopted(call, action)) is not None:
        lease.check(call)
        return result
    record.begins(action)
    back = action.name in WAY_BACK
    with turn.taken(call, action.name, way_back=back) as acting:
        lease.check(acting)
        if back:
            return reserve.with_room(host.root, lambda: _journaled(function, acting, action))
        return _journaled(function, acting, action)


def _leased(call: Call, action: Action) -> Result:
    function, root = LEASING[action.name], call.host.root
    if action.name == "renew":
        return _guarded(function, call, action)
    result = reserve.with_room(root, lambda: _journaled(function, call, action))
    if action.name in TAKING:
        reserve.keep(root)
    return result


def _reads(name: str) -> bool:
    return name in READING or name in READING_APART


def _function(name: str) -> Function:
    functions = {**READING, **ACTING}
    if name.startswith(turn.BACKUP):
        functions = _backup()
    elif name.startswith(turn.MIGRATOR):
        functions = _migrator()
    elif name.startswith(turn.TASK):
        functions = _task()
    if name not in functions:
        raise ActionError("unknown-action", f"{name!r} is no action of this agent")
    return functions[name]


def _journaled(function: Function, call: Call, action: Action) -> Result:
    journal = Journal(call.places.state / "journal.jsonl")
    about = {"deployment": call.deployment, "id": action.id, "action": action.name}
    number = (call.fence or {}).get("number")
    journal.append(
        {"phase": "intent", **about, "fence": number, "parameters": written(action.parameters)}
    )
    began = time.monotonic()
    try:
        result = _guarded(function, call, action)
    except ActionError as error:
        with contextlib.suppress(ActionError):
            journal.append({"phase": "failed", **about, **error.as_fields()})
        raise
    took = round((time.monotonic() - began) * 1000)
    journal.append({"phase": "done", **about, "ms": took, "result": told(result)})
    return result


def _guarded(function: Function, call: Call, action: Action) -> Result:
    try:
        return function(call, Parameters(action.parameters))
    except OSError as error:
        raise ActionError(
            "system-refused", f"{action.name}: {error.strerror or error}", cause=str(error)
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, LookupError) as error:
        raise ActionError(
            "agent-defect",
            f"{action.name} met what it does not handle",
            cause=f"{type(error).__name__}: {error}",
        ) from error

"""The agent's entry points: a request on stdin, or the dead-man's file on the command line."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from changeover.agent import alive, beat, courtesy, dispatch, host, protocol, scope, turn
from changeover.agent.call import Call
from changeover.agent.failure import ActionError
from changeover.agent.journal import Journal
from changeover.agent.protocol import Replies
from changeover.agent.system import reserve
from changeover.agent.system.program import Programs
from changeover.agent.traffic import deadman, share, switch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from changeover.agent.call import Result
    from changeover.agent.host import Host
    from changeover.agent.protocol import Request

DONE, FAILED, BAD_REQUEST, WRONG_VERSION = 0, 1, 2, 3
SURVIVED = (signal.SIGHUP, signal.SIGPIPE, signal.SIGINT, signal.SIGTERM)
# It waits for a lock and for whoever takes its line, 30 s each at most.
BRIEF_SECONDS = 90.0


def main(version: str, arguments: Sequence[str]) -> int:
    """Run the agent; return its exit code: 0 done, 1 failed, 2 bad request, 3 wrong version."""
    os.umask(0o022)
    if len(arguments) == 2 and arguments[0] == deadman.ENTRY:  # noqa: PLR2004 - word and file
        return _deadman(version, Path(arguments[1]))
    if len(arguments) == 3 and arguments[0] == share.ENTRY:  # noqa: PLR2004 - word, app, deployment
        return _watch(version, *arguments[1:])
    replies = Replies(sys.stdout.buffer)
    replies.version(version)
    try:
        request = protocol.parse(protocol.received(sys.stdin.fileno()))
    except ActionError as error:
        replies.failed("", error)
        return BAD_REQUEST
    if request.agent not in {"", version}:
        wrong = ActionError(
            "agent-version", f"this host's agent is {version}, the request is for {request.agent}"
        )
        replies.failed("", wrong)
        return WRONG_VERSION
    if dispatch.changes(request):
        return _apart(version, request, replies)
    return _run(version, request, replies)


def _run(version: str, request: Request, replies: Replies, *, apart: bool = False) -> int:
    try:
        with beat.beating(replies):
            present = host.read(version)
            unit = _unit(present, request, replies) if apart and dispatch.acts(request) else ""
            return DONE if dispatch.run(present, request, replies, unit) else FAILED
    except ActionError as error:
        replies.failed("", error)
        return FAILED


def _unit(present: Host, request: Request, replies: Replies) -> str:
    """Enter a unit of this request's own; where systemd gives none, users are not kept waiting."""
    unit = scope.name(request, os.getpid())
    actions = ", ".join(action.name for action in request.actions)
    try:
        scope.enter(present, unit, f"{actions} of {request.deployment}")
    except ActionError as error:
        told = f"it has no unit of its own: {error.message}: {error.cause}"
        replies.send("progress", id=request.actions[0].id, message=told)
        return ""
    return unit


def _apart(version: str, request: Request, replies: Replies) -> int:
    """Act in a process and session of its own, which the end of the SSH session does not reach."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else FAILED
    code = FAILED
    try:
        os.setsid()
        for number in SURVIVED:
            signal.signal(number, signal.SIG_IGN)
        if dispatch.brief(request):
            # It has no unit that others could end.
            signal.setitimer(signal.ITIMER_REAL, BRIEF_SECONDS)
        if courtesy.patient(request):
            courtesy.step_back(Programs())
        code = _run(version, request, replies, apart=True)
    finally:
        os._exit(code)


def _deadman(version: str, path: Path) -> int:
    """Take an unconfirmed switch back; a failure is tried again by systemd."""
    try:
        about = json.loads(path.read_bytes())
    except FileNotFoundError:
        return DONE
    present = host.read(version)
    call = Call(host=present, app=present.app(about["app"]), deployment=about["deployment"])
    with alive.telling():
        return _take_back(present, call)


def _watch(version: str, app: str, deployment: str) -> int:
    """End a share of clients that nobody renews any more; a failure is tried again by systemd."""
    present = host.read(version)
    call = Call(host=present, app=present.app(app), deployment=deployment)
    journal = Journal(call.places.state / "journal.jsonl")
    about = {"deployment": deployment, "id": share.ENTRY, "action": "canary_unrenewed"}
    alive.tell(alive.READY)
    try:
        if share.watch(call):
            journal.append({"phase": "done", **about, "result": {"ended": True}})
    except ActionError as error:
        print(error.message, error.cause or "", file=sys.stderr)  # noqa: T201 - systemd logs it
        return FAILED
    return DONE


def _take_back(present: Host, call: Call) -> int:
    journal = Journal(present.places(call.app.name).state / "journal.jsonl")
    about = {"deployment": call.deployment, "id": deadman.ENTRY, "action": deadman.ENTRY}

    def take_back(acting: Call) -> Result:
        journal.append({"phase": "intent", **about})
        return switch.take_back(acting)

    try:
        with turn.taken(call, deadman.ENTRY, way_back=switch.awaited(call)) as acting:
            result = reserve.with_room(present.root, lambda: take_back(acting))
    except ActionError as error:
        journal.append({"phase": "failed", **about, **error.as_fields()})
        print(error.message, error.cause or "", file=sys.stderr)  # noqa: T201 - systemd logs it
        return FAILED
    journal.append({"phase": "done", **about, "result": result})
    return DONE

"""Start a colour beside the live one, hold it to its health path, stop it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from changeover.agent.colour import manifest, masking, open_websockets, sockets, units
from changeover.agent.failure import ActionError
from changeover.agent.traffic import boot, live, maintenance_page, share

if TYPE_CHECKING:
    from changeover.agent.call import Call, Result
    from changeover.agent.colour.manifest import Manifest
    from changeover.agent.parameters import Parameters

# Restart= hides a colour that dies at once: twice is no accident.
MOST_RESTARTS = 2
STOP_GRACE_SECONDS = 5
GIVING_UP_SECONDS = 10
STOPPING_SECONDS = 10
OVERTAKEN = "overtaken"
PROGRESS_SECONDS = 15
PROGRESS_CHARACTERS = 200


def start(call: Call, given: Parameters) -> Result:
    """Start a colour and wait until it listens; one that does not is stopped again."""
    given.only("colour", "timeout_seconds")
    colour = given.colour()
    seconds = given.number("timeout_seconds", 60, least=1, most=3600)
    began = time.monotonic()
    already = bring_up(call, colour, seconds)
    elapsed = round((time.monotonic() - began) * 1000)
    return {"started_ms": elapsed, "already": already, "skipped": already}


def bring_up(call: Call, colour: str, seconds: float) -> bool:
    """Have a colour running and listening; tell whether it was already.

    Raises:
        ActionError: ``unit-failed`` or ``socket-silent``, with the log's tail; its units are
            stopped again. ``overtaken``; they go on starting, as a way back may want them.
    """
    release = manifest.read(call.places.release(colour))
    names = units.names_of(call.places, release, colour)
    if boot.confirmed(call.places) == colour:
        # Behind a page of maintenance it was stopped for boots, too.
        boot.bring_back(call, colour)
    if units.running(call.host, names) and not _silent(call, release, colour):
        return True
    _end_of_drain(call, names)
    open_websockets.forget(call, colour)
    try:
        units.begin(call.host, names)
        _wait_until_up(call, release, colour, names, time.monotonic() + seconds)
    except ActionError as error:
        if error.error == OVERTAKEN:
            raise
        cause = units.log_tail(call, names, colour)
        units.stop(call.host, names, GIVING_UP_SECONDS)
        raise ActionError(
            error.error, error.message, cause="\n".join(filter(None, [error.cause, cause]))
        ) from error
    return False


def _end_of_drain(call: Call, names: list[str]) -> None:
    """Let units that are stopping finish, and no longer than users can wait for them."""
    states = units.states(call.host, names)
    stopping = [state.name for state in states if state.active == "deactivating"]
    if stopping:
        call.progress(f"{', '.join(stopping)} has {STOPPING_SECONDS} s to finish its drain")
        units.stop(call.host, stopping, STOPPING_SECONDS, call.give_way)


def _silent(call: Call, release: Manifest, colour: str) -> list[str]:
    return [
        name
        for name in sorted(release.sockets)
        if not sockets.accepts(call.places.socket(colour, name))
    ]


def _wait_until_up(
    call: Call, release: Manifest, colour: str, names: list[str], deadline: float
) -> None:
    while True:
        states = units.states(call.host, names)
        for state in states:
            if state.active == "failed" or state.restarts >= MOST_RESTARTS:
                raise ActionError(
                    "unit-failed",
                    f"{state.name} died: {state.result}, exit status {state.exit_status}",
                )
        silent = _silent(call, release, colour)
        if not silent and all(state.running for state in states):
            return
        if time.monotonic() >= deadline:
            waiting = ", ".join(f"{name}.sock" for name in silent) or "its units"
            raise ActionError("socket-silent", f"{colour} is not up in time: {waiting}")
        call.give_way()
        time.sleep(units.POLL_SECONDS)


def health(call: Call, given: Parameters) -> Result:
    """Wait until every health path of a colour answers 200."""
    given.only("colour", "timeout_seconds")
    colour = given.colour()
    began = time.monotonic()
    wait_until_well(call, colour, given.number("timeout_seconds", 30, least=0, most=3600))
    return {"healthy_ms": round((time.monotonic() - began) * 1000)}


def wait_until_well(call: Call, colour: str, seconds: float) -> None:
    """Ask the health paths until all answer 200.

    Raises:
        ActionError: ``unhealthy``, with the last answer and the log's tail.
    """
    release = manifest.read(call.places.release(colour))
    began = time.monotonic()
    reported = began
    while complaints := _complaints(call, release, colour):
        if time.monotonic() - began >= seconds:
            names = units.names_of(call.places, release, colour)
            tail = units.log_tail(call, names, colour)
            raise ActionError(
                "unhealthy",
                f"{colour} does not answer 200 on its health path after {seconds:g} s",
                cause="\n".join([*_shown(call, colour, complaints), tail]).strip(),
            )
        if time.monotonic() - reported >= PROGRESS_SECONDS:
            reported = time.monotonic()
            call.progress(_shown(call, colour, complaints)[0][:PROGRESS_CHARACTERS])
        call.give_way()
        time.sleep(units.POLL_SECONDS)


def _shown(call: Call, colour: str, complaints: list[str]) -> list[str]:
    path = call.places.environment(colour)
    return [masking.mask(path, complaint, masking.SHOWN) for complaint in complaints]


def _complaints(call: Call, release: Manifest, colour: str) -> list[str]:
    found = []
    for process in release.processes:
        for name in process.sockets:
            path = call.places.socket(colour, name)
            if process.health and process.health.socket == name:
                complaint = sockets.well(path, process.health.path)
            else:
                complaint = None if sockets.accepts(path) else f"nothing listens on {path}"
            if complaint:
                found.append(complaint)
        if not process.sockets:
            unit = call.places.unit_name(process.name, colour)
            if not units.running(call.host, [unit]):
                found.append(f"{unit} does not run")
    return found


def stop(call: Call, given: Parameters) -> Result:
    """Stop a colour that no user is sent to; it has until the deadline to drain itself.

    With ``shut`` it may be the live one, for as long as users get the page of maintenance.
    """
    given.only("colour", "drain_seconds", "shut")
    colour = given.colour()
    seconds = given.number("drain_seconds", 30, most=86400)
    names = units.of(call, colour)
    shared = share.read(call.places)
    if shared and shared.colour == colour:
        share.end(call)
    record = live.settled(call)
    shut = given.flag("shut") and maintenance_page.is_on(call.places)
    if colour == live.colour(call.places) and not shut:
        raise ActionError("colour-live", f"{colour} serves users: it is not stopped")
    if not shut and record.pending and colour == record.pending.origin:
        raise ActionError(
            "colour-awaited", f"{colour} is the way back of an unconfirmed switch: it stays up"
        )
    if shut:
        # Whatever comes to run in its place, or to the database, a host that boots does not bring it back.
        units.unwant(call, names)
    began = time.monotonic()
    if all(state.ended for state in units.states(call.host, names)):
        return {"stopped_ms": 0, "killed": False, "log_tail": "", "skipped": True}
    drain = open_websockets.Drain.begin(call, colour)

    def meanwhile() -> None:
        drain.look()
        call.give_way()

    # Whoever asks may not know the release: one that takes its time to drain gets it.
    seconds = max(seconds, *(process.drain_seconds for process in _processes(call, colour)))
    killed = units.stop(call.host, names, seconds + STOP_GRACE_SECONDS, meanwhile)
    overdue = any(state.result == "timeout" for state in units.states(call.host, names))
    return {
        "stopped_ms": round((time.monotonic() - began) * 1000),
        "killed": killed or overdue,
        "websockets": drain.end(killed=killed or overdue),
        "log_tail": units.log_tail(call, names, colour, lines=10),
    }


def _processes(call: Call, colour: str) -> tuple[manifest.Process, ...]:
    return manifest.read(call.places.release(colour)).processes

"""An Nginx of its own that serves one colour to the agent, beside the live one, which is not asked.

It is a unit that ends with the question. Where the agent is killed, systemd ends it with the agent's
own unit, or when its time is over; what it leaves, the next agent removes.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shutil
import time
from typing import TYPE_CHECKING

from changeover.agent.colour import masking, units
from changeover.agent.failure import ActionError
from changeover.agent.smoke import private_configuration
from changeover.agent.system import durable
from changeover.agent.system.confinement import CONFINED
from changeover.agent.traffic import nginx

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from changeover.agent.call import Call

START_SECONDS = 15
STOP_SECONDS = 5
POLL_SECONDS = 0.01
OWN_UNIT = re.compile(r"/(changeover-[^/\s]+\.scope)\s")
SHOWN_LINES = 5
SHOWN = 2000
# No network at all: a listener that was left over can take no port of the host.
PROPERTIES = (
    *CONFINED,
    f"TimeoutStopSec={STOP_SECONDS}",
    "LimitNOFILE=16384",
    "TasksMax=64",
    "CapabilityBoundingSet=CAP_CHOWN CAP_SETGID CAP_SETUID CAP_DAC_OVERRIDE CAP_KILL",
    "MemoryDenyWriteExecute=yes",
    "PrivateNetwork=yes",
    "RestrictAddressFamilies=AF_UNIX",
)


def unit(app: str) -> str:
    """Return the unit's name; there is one an app, in the turn of the app's agent."""
    return f"changeover-preview-{app}.service"


def directory(call: Call) -> Path:
    """Return where it lives: the name is none that an app can have."""
    return call.host.root / "run/changeover" / f".preview-{call.app.name}"


@contextlib.contextmanager
def serving(call: Call, site: Path, colour: str, seconds: float) -> Iterator[Path]:
    """Serve a colour on unix sockets until the block ends; give the directory they are in.

    Args:
        call: The action's surroundings, in the app's turn.
        site: The colour's site.
        colour: Whose sockets and files are served.
        seconds: For how long at most.

    Raises:
        ActionError: ``nginx-invalid``, where the site is refused; ``preview-failed``.
    """
    nginx.check(call, site)
    home = directory(call)
    try:
        _settle(call, home)
        first = private_configuration.write(call.places, site, colour, home)
        _begin(call, home, first, seconds)
        yield home
    finally:
        end(call)


def _settle(call: Call, home: Path) -> None:
    durable.ensure_directory(home.parent)
    home.mkdir(mode=0o700)
    # The workers pass through to their temporary files, and nobody else does.
    account = pwd.getpwnam(private_configuration.account(call.host.root))
    os.chown(home, 0, account.pw_gid)
    home.chmod(0o710)


def _begin(call: Call, home: Path, first: Path, seconds: float) -> None:
    said = home / "said"
    call.host.programs.must(
        "preview-failed",
        "systemd-run",
        f"--unit={unit(call.app.name)}",
        "--quiet",
        "--collect",
        "--no-ask-password",
        f"--description=Show {call.app.name} to its checks before users see it",
        *(f"--property={each}" for each in (*PROPERTIES, *_bound(call.host.root))),
        f"--property=RuntimeMaxSec={seconds:g}",
        f"--property=ReadWritePaths={home}",
        f"--property=StandardOutput=append:{said}",
        f"--property=StandardError=append:{said}",
        "--",
        "nginx",
        "-c",
        str(first),
    )
    deadline = time.monotonic() + START_SECONDS
    # Written once it listens; a look at its sockets would stand in its log.
    while not (home / private_configuration.PID_FILE).exists():
        (state,) = units.states(call.host, [unit(call.app.name)])
        if state.ended or time.monotonic() >= deadline:
            raise ActionError(
                "preview-failed",
                "an Nginx of its own for the preview does not start",
                cause=_read(call, said),
            )
        call.give_way()
        time.sleep(POLL_SECONDS)


def _bound(root: Path) -> tuple[str, ...]:
    """Return what ends it together with the unit that this agent is in, where it has one."""
    try:
        match = OWN_UNIT.search((root / "proc/self/cgroup").read_text(encoding="utf-8"))
    except OSError:
        return ()
    return (f"BindsTo={match[1]}", f"After={match[1]}") if match else ()


def complaints(call: Call, colour: str) -> str:
    """Return the last of what it complained of, with the environment's values masked."""
    text = _read(call, directory(call) / "error.log")
    return masking.mask(call.places.environment(colour), text, SHOWN)


def _read(call: Call, path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    text = "\n".join(line for line in lines if line.strip())
    shown = private_configuration.told(text, directory(call)).splitlines()[-SHOWN_LINES:]
    return "\n".join(shown)


def end(call: Call) -> None:
    """End it, whoever began it, and remove what it left."""
    home = directory(call)
    if not home.exists():
        return
    names = [unit(call.app.name)]
    if not all(state.ended for state in units.states(call.host, names)):
        units.stop(call.host, names, STOP_SECONDS)
    shutil.rmtree(home, onerror=_unless_gone)


def _unless_gone(
    _remove: object, _path: str, failure: tuple[object, BaseException, object]
) -> None:
    """Raise what kept a file from being removed, unless Nginx was quicker, which removes its own at its end."""
    if not isinstance(failure[1], FileNotFoundError):
        raise failure[1]

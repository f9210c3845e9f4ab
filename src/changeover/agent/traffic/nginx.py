"""Nginx on this host: is a site valid before anyone gets it, and one reload that loses nothing.

A reload of Nginx closes idle keep-alive connections, and a request that is on its way on one of
them is lost. So every response closes its connection for a while before the reload: until none is
left from before, or until the time for it is over. The flag that asks for it is taken away only
when no worker of the old configuration listens any more.
"""

from __future__ import annotations

import contextlib
import functools
import re
import shutil
import time
from typing import TYPE_CHECKING

from changeover.agent import running
from changeover.agent.failure import ActionError
from changeover.agent.places import NGINX, Places
from changeover.agent.system import durable, filelock
from changeover.agent.traffic import connections

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from changeover.agent.call import Call

LOCK_FILE = "var/lib/changeover/nginx.lock"
PID_FILE = "run/nginx.pid"
SITES = re.compile(r"(\binclude\s+)(?:/etc/nginx/)?sites-enabled/([^;\s]+);")
NAMED = re.compile(r" in (\S+):\d+")
LEAVING = b"is shutting down"
OWN_TROUBLE = re.compile(r" \[(emerg|alert)\] (?!.*\brequest: )")
SHOWN_LINES = 15
POLL_SECONDS = 0.01
CLOSING_POLL_SECONDS = 0.1
WORKER_SECONDS = 15
LOCK_SECONDS = 300  # as long as another app may close its connections, and reload
RELOAD_SECONDS = 60


def check(call: Call, candidate: Path | None) -> None:
    """Hold a site to ``nginx -t`` beside the live configuration, which is not touched.

    Args:
        call: The action's surroundings.
        candidate: The site that would take the place of the app's own; ``None`` for no site.

    Raises:
        ActionError: ``nginx-invalid``, with what ``nginx -t`` said.
    """
    root, app = call.host.root, call.app.name
    sites, trial = _trial(call)
    durable.ensure_directory(sites.parent)
    shutil.rmtree(sites, ignore_errors=True)
    sites.mkdir(mode=0o700)
    try:
        for site in sorted((root / NGINX / "sites-enabled").iterdir()):
            if site.name != f"{app}.conf" and not site.name.startswith("."):
                (sites / site.name).symlink_to(site)
        if candidate is not None:
            (sites / f"{app}.conf").symlink_to(candidate)
        text = (root / NGINX / "nginx.conf").read_text(encoding="utf-8")
        replaced, count = SITES.subn(lambda match: f"{match[1]}{sites}/{match[2]};", text)
        if count == 0:
            raise ActionError("nginx-invalid", "nginx.conf does not include sites-enabled")
        durable.write(trial, replaced.encode())
        finished = call.host.programs.run("nginx", "-t", "-q", "-c", str(trial))
    finally:
        trial.unlink(missing_ok=True)
        shutil.rmtree(sites, ignore_errors=True)
    if finished.code != 0:
        said = finished.said.replace(f"{sites}/", "sites-enabled/").replace(
            str(trial), "nginx.conf"
        )
        raise _refused(said, app)


def _refused(said: str, app: str) -> ActionError:
    """Return what ``nginx -t`` stopped at: another's file is not the release's fault, nor mended by it."""
    named = NAMED.search(said)
    if named is None or named[1].endswith(f"sites-enabled/{app}.conf"):
        return ActionError("nginx-invalid", "Nginx refuses the release's site", cause=said)
    return ActionError(
        "nginx-invalid",
        f"Nginx refuses {named[1]}, which is not of this release",
        cause=said,
        hint=f"correct {named[1]} on this host, or take it away, until nginx -t is green",
    )


@contextlib.contextmanager
def closing(call: Call, seconds: float) -> Iterator[int]:
    """Have every response close its connection until the block ends; give how many were left.

    A reload concerns every site of the host, so every app's responses do. The block begins when no
    connection from before is left, at the latest after ``seconds``. An open WebSocket counts as one
    that is left; it outlives the reload.
    """
    root = call.host.root
    flags = _flags(call)
    saying = f"a reload for {call.app.name} of {call.deployment}"
    stuck = functools.partial(running.end_hung, call)
    with filelock.held(root / LOCK_FILE, LOCK_SECONDS, saying, call.progress, stuck=stuck):
        try:
            for flag in flags:
                flag.touch()
            yield _wait_for_last(root, seconds)
        finally:
            for flag in flags:
                flag.unlink(missing_ok=True)


def _flags(call: Call) -> list[Path]:
    every = [Places(call.host.root, name) for name in call.host.apps]
    return [places.closing for places in every if places.runtime.is_dir()]


def _wait_for_last(root: Path, seconds: float) -> int:
    master = _master(root)
    if master is None:
        return 0
    left = connections.to_process(root, master)
    deadline = time.monotonic() + seconds
    while left and time.monotonic() < deadline:
        time.sleep(CLOSING_POLL_SECONDS)
        left &= connections.to_process(root, master)
    return len(left)


def reload(call: Call) -> None:
    """Reload Nginx and wait until no worker of the old configuration takes connections.

    Raises:
        ActionError: ``nginx-unreloaded`` where it refused at once or does not run;
            ``nginx-failed`` where its old workers go on.
    """
    before = _workers(call.host.root)
    call.host.programs.must(
        "nginx-unreloaded", "systemctl", "reload", "nginx.service", seconds=RELOAD_SECONDS
    )
    deadline = time.monotonic() + WORKER_SECONDS
    while any(_listening(worker) for worker in before):
        if time.monotonic() >= deadline:
            raise ActionError(
                "nginx-failed",
                "Nginx goes on with its old configuration",
                cause=_error_log(call.host.root),
            )
        time.sleep(POLL_SECONDS)


def stopped(call: Call) -> bool:
    """Tell whether Nginx does not run: what is linked now is read when it starts."""
    return call.host.programs.run("systemctl", "is-active", "--quiet", "nginx.service").code != 0


def tidy(call: Call) -> None:
    """Remove what an agent that was killed may have left: a trial, flags that nobody waits behind."""
    sites, trial = _trial(call)
    trial.unlink(missing_ok=True)
    durable.clear(trial)
    shutil.rmtree(sites, ignore_errors=True)
    flags = [flag for flag in _flags(call) if flag.exists()]
    if flags:
        with contextlib.suppress(ActionError), filelock.held(call.host.root / LOCK_FILE, 0):
            for flag in flags:
                flag.unlink(missing_ok=True)


def _trial(call: Call) -> tuple[Path, Path]:
    root, app = call.host.root, call.app.name
    return root / "run/changeover" / f"nginx-{app}", root / NGINX / f".changeover-{app}.conf"


def _master(root: Path) -> int | None:
    try:
        return int((root / PID_FILE).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _workers(root: Path) -> list[int]:
    master = _master(root)
    try:
        children = (root / f"proc/{master}/task/{master}/children").read_text(encoding="ascii")
    except (OSError, ValueError):
        return []
    return [worker for text in children.split() if _listening(worker := int(text))]


def _listening(worker: int) -> bool:
    try:
        with open(f"/proc/{worker}/cmdline", "rb") as stream:  # noqa: PTH123 - a kernel file
            title = stream.read()
    except OSError:
        return False
    return title.startswith(b"nginx: worker") and LEAVING not in title


def _error_log(root: Path) -> str:
    """Return what Nginx said last of itself; its other lines quote the requests of clients."""
    try:
        lines = (root / "var/log/nginx/error.log").read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join([line for line in lines if OWN_TROUBLE.search(line)][-SHOWN_LINES:])

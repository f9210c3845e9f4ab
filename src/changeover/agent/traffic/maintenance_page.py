"""What Nginx asks of the file system while a page of maintenance is shown, and the page itself.

Nginx looks at each request: no reload, and nothing to be lost by one. The files lie on the disk and
are linked to where Nginx looks for them, so a host that was started anew shows the page again.
"""

from __future__ import annotations

import ipaddress
import json
from collections import deque
from datetime import datetime
from typing import TYPE_CHECKING

from changeover.agent.colour import manifest
from changeover.agent.failure import ActionError
from changeover.agent.places import NGINX
from changeover.agent.system import durable
from changeover.agent.traffic import live

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from changeover.agent.call import Call
    from changeover.agent.places import Places

DEFAULT_PAGE = f"{NGINX}/changeover/maintenance.html"
LOGS = ("var/log/nginx/access.log.1", "var/log/nginx/access.log")
LARGEST_PAGE = 1 << 20
MOST_LOG_LINES = 2_000_000
PASSABLE = 0o711
MINUTE = 60
# An IPv4 network of /24.
MOST_MACHINES = 256


def machines(value: object) -> tuple[str, ...]:
    """Return the addresses of a network, or the one that is named, as Nginx spells them.

    Nginx looks for a file of the client's address, so a network is as many files.

    Raises:
        ActionError: ``bad-address``; it is none, or larger than ``MOST_MACHINES``.
    """
    try:
        network = ipaddress.ip_network(value if isinstance(value, str) else "")
    except ValueError as error:
        raise ActionError("bad-address", f"{value!r} is no address and no network") from error
    if network.num_addresses > MOST_MACHINES:
        raise ActionError("bad-address", f"{value} has more than {MOST_MACHINES} addresses")
    return tuple(str(each) for each in network)


def served(call: Call) -> bool:
    """Tell whether the live site asks for the page, and Nginx has read it.

    Where the page is on, it had: a move that was cut off since, between two such sites, takes none away.
    """
    try:
        text = call.places.site.read_text(encoding="utf-8")
    except OSError:
        return False
    asks = f"-e /run/{call.app.name}/maintenance/on)" in text
    return asks and (is_on(call.places) or not call.places.stale_site.exists())


def is_on(places: Places) -> bool:
    """Tell whether Nginx shows the page."""
    return (places.maintenance / "on").exists()


def absent(places: Places) -> bool:
    """Tell whether nothing of the page is left."""
    paths = (places.maintenance, places.maintenance_kept, places.maintenance_boot)
    return not any(path.exists() or path.is_symlink() for path in paths)


def show(call: Call, *, retry_after: int, addresses: set[str], testers: set[str]) -> None:
    """Show the page to all but these; who is let through is so before anybody is kept out."""
    places, kept = call.places, call.places.maintenance_kept
    page = f"retry-after-{retry_after}"
    let = {f"address-{each}" for each in addresses} | {f"tester-{each}" for each in testers}
    durable.ensure_directory(kept.parent, PASSABLE)
    durable.ensure_directory(kept, PASSABLE)
    durable.ensure_directory(kept / page, PASSABLE)
    name, html = call.app.name, _page(call, retry_after)
    durable.write(kept / page / f"{name}-maintenance.html", html, durable.PUBLIC)
    durable.write(kept / page / f"{name}-maintenance.json", _body(retry_after), durable.PUBLIC)
    for each in let:
        (kept / each).touch()
    durable.sync_directory(kept)
    # Relative, as every link of ours: it leads to the same place below any root.
    target = f"../../var/lib/changeover/.maintenance/{name}"
    instruction = f"L+ /run/{name}/maintenance - - - - {target}\n"
    durable.ensure_directory(places.maintenance_boot.parent)
    durable.write(places.maintenance_boot, instruction.encode(), durable.PUBLIC)
    durable.link(places.maintenance, target)
    durable.link(kept / "on", page)
    for entry in sorted(kept.iterdir()):
        if entry.name not in {*let, page, "on"}:
            _remove(entry)


def _remove(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        durable.remove_tree(entry)
    else:
        durable.remove(entry)


def hide(places: Places) -> None:
    """Let everybody through, and leave nothing."""
    durable.remove(places.maintenance_kept / "on")
    durable.remove(places.maintenance_boot)
    durable.remove(places.maintenance)
    durable.remove_tree(places.maintenance_kept)


def _page(call: Call, retry_after: int) -> bytes:
    """Return the page of the live release, or the host's own, with the time filled in."""
    path = call.host.root / DEFAULT_PAGE
    present = live.colour(call.places)
    if present is not None:
        release = call.places.release(present)
        own = manifest.read(release).maintenance
        path = release / own if own else path
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST_PAGE + 1)
    except OSError as error:
        raise ActionError(
            "bad-page",
            f"{path} cannot be read",
            cause=str(error),
            hint="changeover provision writes the page of a host; a release brings its own along",
        ) from error
    if len(content) > LARGEST_PAGE:
        raise ActionError("bad-page", f"{path} is larger than {LARGEST_PAGE} bytes")
    words = _words(retry_after)
    filled = content.replace(b"@RETRY_AFTER@", str(retry_after).encode())
    return filled.replace(b"@RETRY_WORDS@", words.encode())


def _words(seconds: int) -> str:
    minutes = -(-seconds // MINUTE)
    if seconds < MINUTE:
        return f"{seconds} seconds"
    return "one minute" if minutes == 1 else f"{minutes} minutes"


def _body(retry_after: int) -> bytes:
    said = f"Under maintenance. Please try again in {_words(retry_after)}."
    body = {"error": "maintenance", "message": said, "retry_after": retry_after}
    return f"{json.dumps(body)}\n".encode()


def answered(call: Call, since: str) -> int | None:
    """Count the requests that got the page since then, by Nginx's log; ``None`` where it cannot tell."""
    begun = datetime.fromisoformat(since)
    wanted = f'"path":"/{call.app.name}-maintenance.'
    try:
        return sum(
            _answered(line, begun)
            for path in LOGS
            for line in _lines(call.host.root / path)
            if wanted in line
        )
    except OSError:
        return None


def _lines(path: Path) -> Iterator[str]:
    if path.exists():
        with path.open(encoding="utf-8", errors="replace") as stream:
            yield from deque(stream, maxlen=MOST_LOG_LINES)


def _answered(line: str, begun: datetime) -> bool:
    try:
        record = json.loads(line)
        at = datetime.fromisoformat(record["time"])
    except (ValueError, KeyError, TypeError):
        return False
    whole = begun.replace(microsecond=0)
    return record.get("status") == 503 and at >= whole  # noqa: PLR2004 - HTTP's own number

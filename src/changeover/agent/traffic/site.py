"""An app's Nginx site: a link to the live colour's file, so that it goes and comes with it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from changeover.agent.colour import manifest
from changeover.agent.failure import ActionError
from changeover.agent.system import durable
from changeover.agent.traffic import nginx

if TYPE_CHECKING:
    from pathlib import Path

    from changeover.agent.call import Call

PROXIED = re.compile(
    r"unix:(?:/run/([a-z0-9-]+)/current/|\$\{([a-z0-9_]+)_colour\})([a-z0-9_-]+)\.sock"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What moving users to another colour means for the site.

    Args:
        target: The colour whose site is to be linked; ``None`` for no site at all.
        repoint: Whether the link has to be changed.
        reload: Whether Nginx has to read another text.
        first: Whether the site goes before the colour, rather than after it.
    """

    target: str | None
    repoint: bool
    reload: bool
    first: bool


def change(call: Call, origin: str | None, target: str | None, *, first: bool) -> Change:
    """Work out the site's part of a move, and refuse one that would lose requests.

    The site and the colour cannot change in one rename, so for a moment users have one's site with
    the other's sockets. The new release's site never comes before its colour does, unless only
    that order has the sockets that the site in between needs.

    Raises:
        ActionError: ``no-lossless-order``; neither order has them.
    """
    if not call.host.nginx:
        return Change(target=None, repoint=False, reload=False, first=first)
    wanted = _file(call, target)
    repoint = durable.read_link(call.places.site) != _link(call, target)
    present = _content(call.places.site)
    reload = present != _content(wanted) or call.places.stale_site.exists()
    if reload and present is not None and wanted is not None:
        first = _order(call, origin, target, first=first)
    elif reload:
        first = wanted is None
    return Change(target=target, repoint=repoint, reload=reload, first=first)


def refuse_unshared(call: Call, colour: str) -> None:
    """Refuse to send a share of the clients to a colour that the live site cannot send them to.

    Raises:
        ActionError: ``no-canary-hook`` or ``canary-unfit``.
    """
    text = (_content(call.places.site) or b"").decode("utf-8", "replace")
    if not shares(call) or call.places.stale_site.exists():
        raise ActionError(
            "no-canary-hook",
            "the site that Nginx serves here was made before there were shares of clients, or "
            "Nginx has not read the one that knows them",
            hint="deploy once with --canary off: the site of what is deployed then knows shares",
        )
    missing = named(call, text) - _has(call, colour)
    if missing:
        raise ActionError(
            "canary-unfit",
            f"the live site needs sockets that {colour} lacks: {', '.join(sorted(missing))}",
            hint="deploy with --canary off: the new version comes with a site of its own",
        )


def shares(call: Call) -> bool:
    """Tell whether the live site can send a share of the clients to another colour."""
    text = (_content(call.places.site) or b"").decode("utf-8", "replace")
    return call.host.nginx and f"/run/{call.app.name}/canary/" in text


def _order(call: Call, origin: str | None, target: str | None, *, first: bool) -> bool:
    for site_first in (first, not first):
        site, colour = (_file(call, target), origin) if site_first else (call.places.site, target)
        if colour is None or _needs(call, site) <= _has(call, colour):
            return site_first
    raise ActionError(
        "no-lossless-order",
        f"the sites of {origin} and {target} need sockets that the other one lacks: "
        "they cannot follow each other without losing requests",
    )


def _needs(call: Call, site: Path | None) -> frozenset[str]:
    return named(call, (_content(site) or b"").decode("utf-8", "replace"))


def named(call: Call, text: str) -> frozenset[str]:
    """Return the app's sockets that a site's text, or a part of it, sends requests to."""
    mine = {call.app.name, call.app.name.replace("-", "_")}
    return frozenset(
        name for app, variable, name in PROXIED.findall(text) if (app or variable) in mine
    )


def _has(call: Call, colour: str) -> frozenset[str]:
    return manifest.read(call.places.release(colour)).sockets


def _file(call: Call, colour: str | None) -> Path | None:
    if colour is None:
        return None
    release = call.places.release(colour)
    site = manifest.read(release).site
    return release / site if site else None


def _link(call: Call, colour: str | None) -> str | None:
    return call.places.site_target(colour) if colour and _file(call, colour) else None


def _content(path: Path | None) -> bytes | None:
    try:
        return path.read_bytes() if path else None
    except FileNotFoundError:
        return None


def check(call: Call, change_: Change) -> None:
    """Hold the site to ``nginx -t`` where Nginx would have to read it.

    Raises:
        ActionError: ``nginx-invalid``; nothing has been changed.
    """
    if change_.reload:
        nginx.check(call, _file(call, change_.target))


def install(call: Call, change_: Change, *, going_back: bool = False) -> None:
    """Link the site and have Nginx read it; what it does not take is linked back.

    An Nginx that is stopped keeps nobody from going back: it reads the link when it starts.

    Raises:
        ActionError: ``nginx-unreloaded`` or ``nginx-failed``.
    """
    before = durable.read_link(call.places.site)
    if change_.reload:
        call.places.stale_site.touch()
    if change_.repoint:
        _point(call, _link(call, change_.target))
    if not change_.reload:
        return
    try:
        nginx.reload(call)
    except ActionError as error:
        if going_back and nginx.stopped(call):
            durable.remove(call.places.stale_site)
            return
        _point(call, before)
        if error.error == "nginx-unreloaded":
            durable.remove(call.places.stale_site)
        raise
    durable.remove(call.places.stale_site)


def _point(call: Call, target: str | None) -> None:
    if target is None:
        durable.remove(call.places.site)
    else:
        durable.link(call.places.site, target)

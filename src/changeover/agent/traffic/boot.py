"""What a boot brings back: the confirmed colour, and no other.

One tmpfiles.d file is both the record of the confirmed colour and the system's own instruction to
link it, its site included, so that the two cannot disagree.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from changeover.agent.colour import manifest, units
from changeover.agent.system import durable

if TYPE_CHECKING:
    from changeover.agent.call import Call
    from changeover.agent.places import Places

CONFIRMED = re.compile(r"^# confirmed: (\S+)$", re.MULTILINE)
NONE = "none"


def confirmed(places: Places) -> str | None:
    """Return the colour that a boot brings back."""
    try:
        text = places.boot.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    found = CONFIRMED.search(text)
    return None if found is None or found[1] == NONE else found[1]


def bring_back(call: Call, colour: str | None) -> None:
    """Have a boot bring back this colour. The file's rename decides; the rest follows it."""
    wanted: list[str] = []
    if colour is not None:
        release = manifest.read(call.places.release(colour))
        wanted = units.names_of(call.places, release, colour)
        units.want_at_boot(call, wanted)
    durable.ensure_directory(call.places.boot.parent)
    content = _instructions(call, colour).encode()
    if not call.places.boot.is_file() or call.places.boot.read_bytes() != content:
        durable.write(call.places.boot, content, durable.PUBLIC)
    units.unwant_others(call, wanted)


def _instructions(call: Call, colour: str | None) -> str:
    places = call.places
    current, site = f"/run/{places.app}/current", f"/etc/nginx/sites-enabled/{places.app}.conf"
    lines = [f"# confirmed: {colour or NONE}"]
    has_site = False
    if colour is not None:
        lines.append(f"L+! {current} - - - - {colour}")
        has_site = manifest.read(places.release(colour)).site is not None
    if call.host.nginx:
        if colour is not None and has_site:
            lines.append(f"L+! {site} - - - - {places.site_target(colour)}")
        else:
            lines.append(f"r! {site}")
    return "\n".join(lines) + "\n"

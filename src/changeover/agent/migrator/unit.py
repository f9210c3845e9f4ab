"""The unit of an app's own migrator: as a user of its own, with an environment that leaves no trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from changeover.agent import names
from changeover.agent.colour import environment_file
from changeover.agent.system import durable
from changeover.agent.transient.unit import Unit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from changeover.agent.call import Call


def of(call: Call) -> Unit:
    """Return the unit of the app's migrator."""
    return Unit(call, "migrator")


def begin(
    call: Call, colour: str, words: Sequence[str], values: Mapping[str, str], seconds: float
) -> None:
    """Start it with these values, which are gone from the disk and from memory files once it runs.

    Raises:
        ActionError: ``migrator-not-started``, with what systemd says.
    """
    environment = call.places.secrets / "migrator.env"
    durable.ensure_directory(call.places.secrets, 0o700)
    own = {"RELEASE_VERSION": names.version_of(colour), "RELEASE_COLOUR": colour}
    durable.write(environment, environment_file.render({**values, **own}).encode())
    # A user of its own, made for the run: the app's processes are another user's, and read nothing of it.
    properties = ("DynamicUser=yes", f"EnvironmentFile={environment}")
    try:
        of(call).begin(colour, words, seconds, properties)
    finally:
        durable.clear(environment)
        environment.unlink(missing_ok=True)

"""The one Jinja environment for templates; Ansible renders the same files to the same bytes.

The settings are those of Ansible's own template module. A name that a template uses and nobody
gives is an error, in a test of its value as well as in its output.
"""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

import jinja2

from changeover.errors import InvalidInput
from changeover.inventory.root import CHECKOUT, near

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class TemplateMissing(InvalidInput):
    """There is no such template."""


class TemplateInvalid(InvalidInput):
    """A template is not Jinja, or uses a name that has no value."""


def render(template: str, values: Mapping[str, object], *, root: Path) -> str:
    """Return a template of the project's ``templates/`` filled with values.

    Args:
        template: Its path below ``templates/``, for example ``etc/nginx/site.conf.j2``.
        values: The names it may use, as plain data.
        root: The project root; where it has no such template, this checkout's one is used.

    Raises:
        TemplateMissing: It is in neither place.
        TemplateInvalid: It cannot be rendered; the message names file and line.
    """
    places = [root / "templates", CHECKOUT / "templates"]
    engine = jinja2.Environment(
        loader=jinja2.FileSystemLoader(places),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=False,
        # these are configuration files of systemd and Nginx, not HTML
        autoescape=False,  # noqa: S701
    )
    try:
        source, _, _ = engine.loader.get_source(engine, template)  # type: ignore[union-attr]
        text = engine.get_template(template).render(values)
    except jinja2.TemplateNotFound as error:
        raise TemplateMissing(
            f"there is no template {error.name}", hint=f"create templates/{error.name}"
        ) from None
    except jinja2.TemplateSyntaxError as error:
        place = f"templates/{error.name}:{error.lineno}"
        raise TemplateInvalid(f"{place}: {error.message}", hint=f"correct {place}") from None
    except (jinja2.TemplateError, TypeError, ValueError) as error:
        place = _place(error, places, root) or f"templates/{template}"
        raise TemplateInvalid(
            f"{place}: {str(error) or type(error).__name__}", hint=f"correct {place}"
        ) from None
    ended = source.endswith("\n") and not text.endswith("\n")
    return f"{text}\n" if ended else text


def _place(error: Exception, places: list[Path], root: Path) -> str | None:
    """Return ``file:line`` of the innermost template line that the error passed through."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        for place in places:
            if frame.filename.startswith(f"{place}/"):
                file = place / frame.filename.removeprefix(f"{place}/")
                return f"{near(file, root)}:{frame.lineno}"
    return None

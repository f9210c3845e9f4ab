"""A host whose root is an overlay: what lies on a lower layer cannot be renamed, and still goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .host import APP, first

if TYPE_CHECKING:
    from .host import Site

pytestmark = pytest.mark.lab


def test_a_colour_on_a_lower_layer_is_retired_whole(site: Site) -> None:
    live = first(site)
    left = site.place("1.2.0")
    site.lab.snapshot("placed")
    site.lab.reset("placed")

    site.do("retire", colour=left)

    assert site.root(f"ls -A /opt/{APP}/releases") == live

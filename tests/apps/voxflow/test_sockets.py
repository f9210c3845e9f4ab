from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from .system import bring, serving

if TYPE_CHECKING:
    from tests.postgres.own_server import Shop


@pytest.mark.parametrize("version", ["1.0.0", "2.0.0"])
def test_its_sockets_are_closed_to_others(shop: Shop, cache: str, version: str) -> None:
    bring(shop, "1.0.0", *(["2.0.0"] if version == "2.0.0" else []))

    with serving(version, shop, cache) as system:
        folder = system.socket.parent
        modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in folder.glob("*.sock")}

    assert modes == {"http.sock": 0o660, "metrics.sock": 0o660}

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .desk import Desk


def test_its_sockets_are_closed_to_others(desk: Desk) -> None:
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in desk.sockets.glob("*.sock")}

    assert modes == {"http.sock": 0o660, "metrics.sock": 0o660}

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

if TYPE_CHECKING:
    from tests.postgres.conftest import Shop

pytestmark = pytest.mark.postgres


def test_the_owner_enters_with_its_password_and_nobody_with_another(shop: Shop) -> None:
    parameters = shop.owner.parameters()
    with psycopg.connect(**parameters) as connection:  # type: ignore[arg-type]
        assert connection.info.user == f"{shop.name}_owner"

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(**(parameters | {"password": "wrong"}))  # type: ignore[arg-type]

"""Move a VoxFlow account from the legacy contract to the tenants' one."""

from .calls import Calls, Refused, Unreachable
from .findings import Compatibility, Issue, compatibility
from .moving import MigrationResult, NothingToMigrate, moved

__all__ = [
    "Compatibility",
    "Issue",
    "MigrationHelper",
    "MigrationResult",
    "NothingToMigrate",
    "Refused",
    "Unreachable",
]


class MigrationHelper:
    """Asks one VoxFlow about one account.

    Args:
        api_url: Where it is, such as ``https://api.voxflow.com``.
        token: The account's, from any version.
        deadline_seconds: How long one of the two methods may take, waits included.
    """

    def __init__(self, api_url: str, token: str, *, deadline_seconds: float = 60.0) -> None:
        self._calls = Calls(api_url, token, deadline_seconds)

    def check_compatibility(self) -> Compatibility:
        """Tell what keeps the account's client from using tenants' routes; changes nothing.

        Raises:
            Refused: The service refuses the token.
            Unreachable: It gives no answer before the deadline.
        """
        return compatibility(self._calls.begun())

    def migrate_user_data(self) -> MigrationResult:
        """Move the account with what it made; an account that has moved gets the same result again.

        Raises:
            NothingToMigrate: This version has nothing to move to or from, or the account was never legacy.
            Refused: The service refuses.
            Unreachable: It gives no answer before the deadline.
        """
        return moved(self._calls.begun())

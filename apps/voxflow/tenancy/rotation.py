"""Encrypt every API key anew by the first secret of ``API_KEYS_SECRET``, while the app serves and writes.

It goes on where it was stopped, however it was: what is encrypted by the first secret already stays as it
is. It tells JSON lines: how far it is, and last what it found. It ends with 0 when every key is by the first
secret, with 75 when the same again goes on, with 1 when there are keys that no secret opens.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psycopg
from psycopg_pool import PoolTimeout
from voxflow.database import Database, one
from voxflow.settings import Settings

from .keyring import Place, Sealed, Unreadable
from .settings import ring

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from voxflow.database import Row

    from .keyring import Keyring

DONE, FAILED, AGAIN = 0, 1, 75
BATCH, LARGEST = 500, 10_000
PASSES = 3
# A batch waits for whoever saves a key of it, and not for ever.
PATIENCE = "SET LOCAL lock_timeout = '10s'"
TOTAL = "SELECT count(*) AS keys FROM api_keys"
PAGE = """
    SELECT user_id, provider, key_id, sealed FROM api_keys
    WHERE (user_id, provider) > (%s, %s) ORDER BY user_id, provider LIMIT %s"""
# A key that was saved meanwhile is not the one that was read, and stays.
CHANGE = """
    UPDATE api_keys SET key_id = %(key_id)s, sealed = %(sealed)s
    WHERE user_id = %(user_id)s AND provider = %(provider)s AND sealed = %(before)s"""


@dataclass(slots=True)
class Found:
    """What one pass over all keys found.

    Args:
        by_first: Keys that are by the first secret already.
        encrypted: Keys that were encrypted anew.
        changed: Keys that their tenants saved just then; another pass looks at them.
        unreadable: Keys that no secret opens, by the id of the secret that they name.
    """

    by_first: int = 0
    encrypted: int = 0
    changed: int = 0
    unreadable: Counter[str] = field(default_factory=Counter)

    def seen(self) -> int:
        """Return how many keys it looked at."""
        return self.by_first + self.encrypted + self.changed + self.unreadable.total()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """Encrypts keys anew.

    Args:
        database: Where they are.
        ring: Whose first secret is to encrypt them.
        batch: How many of them in a transaction.
        dry: Whether it only looks.
    """

    database: Database
    ring: Keyring
    batch: int
    dry: bool

    def run(self) -> int:
        """Pass over the keys until nothing is left to do; tell it, and return the exit code."""
        encrypted = 0
        for _ in range(1 if self.dry else PASSES):
            found = self._passed()
            encrypted += found.encrypted
            if not (found.encrypted or found.changed):
                break
        _tell(
            {
                "first": self.ring.first,
                "keys": found.seen(),
                ("would_encrypt" if self.dry else "encrypted"): encrypted,
                "by_first": found.by_first + found.encrypted * (not self.dry),
                "unreadable": dict(found.unreadable),
                "advice": _advice(found),
            }
        )
        if found.unreadable:
            return FAILED
        return AGAIN if not self.dry and (found.encrypted or found.changed) else DONE

    def _passed(self) -> Found:
        with self.database.for_all_tenants() as connection:
            total = one(connection.execute(TOTAL))["keys"]
        found = Found()
        after = ("", "")
        while rows := self._page(after, found):
            after = (rows[-1]["user_id"], rows[-1]["provider"])
            _tell({"done": min(found.seen(), total), "total": total})
        return found

    def _page(self, after: tuple[str, str], found: Found) -> Sequence[Row]:
        """Go through one batch, in a transaction of its own."""
        with self.database.for_all_tenants() as connection:
            connection.execute(PATIENCE)
            rows = connection.execute(PAGE, [*after, self.batch]).fetchall()
            anew = list(self._anew(rows, found))
            for change in () if self.dry else anew:
                if not connection.execute(CHANGE, change).rowcount:
                    found.changed += 1
                    found.encrypted -= 1
        return rows

    def _anew(self, rows: Sequence[Row], found: Found) -> Iterator[Row]:
        for row in rows:
            place = Place(user=row["user_id"], provider=row["provider"])
            try:
                key = self.ring.open(Sealed(key_id=row["key_id"], data=row["sealed"]), place)
            except Unreadable:
                found.unreadable[row["key_id"]] += 1
                continue
            if row["key_id"] == self.ring.first:
                found.by_first += 1
                continue
            found.encrypted += 1
            sealed = self.ring.seal(key, place)
            yield row | {"key_id": sealed.key_id, "sealed": sealed.data, "before": row["sealed"]}


def _advice(found: Found) -> str:
    if found.unreadable:
        return "add the secrets that these ids name, or have their tenants save these keys again"
    return "" if not found.changed else "keys are saved by other secrets still: run it again"


def _tell(facts: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    def size(text: str) -> int:
        if not 1 <= int(text) <= LARGEST:
            raise ValueError(text)
        return int(text)

    parser = argparse.ArgumentParser(prog="tenancy.rotation", description=__doc__)
    parser.add_argument(
        "--batch", type=size, default=BATCH, help=f"keys in a transaction, 1 to {LARGEST}"
    )
    parser.add_argument("--dry-run", action="store_true", help="only tell what would be done")
    return parser


def main(arguments: Sequence[str]) -> int:
    """Do it, and return the exit code."""
    asked = _parser().parse_args(arguments)
    database = Database(Settings.read())
    rotation = Rotation(database=database, ring=ring(), batch=asked.batch, dry=asked.dry_run)
    database.open()
    try:
        return rotation.run()
    except (PoolTimeout, psycopg.OperationalError) as error:
        _tell({"error": f"the database was not to be had: {type(error).__name__}"})
        return AGAIN
    finally:
        database.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""What tenants' API keys are encrypted with, and how.

AES-256-GCM with a nonce of its own for each, under a key that HKDF-SHA256 makes of a secret. The account
and the provider are bound to it as associated data: what is copied to another row does not open there.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

if TYPE_CHECKING:
    from collections.abc import Mapping

PURPOSE = b"voxflow api_keys"
KEY_BYTES, NONCE_BYTES = 32, 12
SHORTEST = 16
ID = re.compile(r"[A-Za-z0-9_.-]{1,32}")
ONLY = "1"


class Unfit(ValueError):
    """The environment's secrets cannot be used; it says why, and none of them."""


class Unreadable(Exception):
    """No secret that is known opens it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The row that a key stands in.

    Args:
        user: Whose it is.
        provider: Whom it is for.
    """

    user: str
    provider: str

    def bound(self) -> bytes:
        """Return what is bound to the key."""
        return json.dumps([self.user, self.provider]).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """What is kept of a key.

    Args:
        key_id: Which secret encrypted it.
        data: The nonce and what was encrypted.
    """

    key_id: str
    data: bytes


class Keyring:
    """Several secrets by their ids: the first one encrypts, all of them decrypt.

    Args:
        secrets: At least one.
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self.first = next(iter(secrets))
        self._ciphers = {name: AESGCM(_derived(secret)) for name, secret in secrets.items()}

    @classmethod
    def read(cls, text: str) -> Keyring:
        """Read ``id:secret,id:secret``; a single secret may go without an id, and has ``1``.

        Raises:
            Unfit: It is not that.
        """
        secrets: dict[str, str] = {}
        for part in filter(None, map(str.strip, text.split(","))):
            name, colon, secret = part.partition(":")
            if not colon:
                name, secret = ONLY, part
            if not ID.fullmatch(name):
                raise Unfit("an id has 1 to 32 letters, digits, _ . or -")
            if len(secret) < SHORTEST:
                raise Unfit(f"the secret {name} is shorter than {SHORTEST} letters")
            if name in secrets:
                raise Unfit(f"two secrets have the id {name}")
            secrets[name] = secret
        if not secrets:
            raise Unfit("there is no secret")
        return cls(secrets)

    def seal(self, key: str, place: Place) -> Sealed:
        """Encrypt a key for a row."""
        nonce = os.urandom(NONCE_BYTES)
        data = self._ciphers[self.first].encrypt(nonce, key.encode(), place.bound())
        return Sealed(key_id=self.first, data=nonce + data)

    def open(self, sealed: Sealed, place: Place) -> str:
        """Decrypt the key of a row.

        Raises:
            Unreadable: Its secret is not known, or it was not encrypted for this row.
        """
        cipher = self._ciphers.get(sealed.key_id)
        nonce, data = sealed.data[:NONCE_BYTES], sealed.data[NONCE_BYTES:]
        if cipher is None or len(nonce) < NONCE_BYTES:
            raise Unreadable
        try:
            return cipher.decrypt(nonce, data, place.bound()).decode()
        except InvalidTag:
            raise Unreadable from None


def _derived(secret: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=PURPOSE).derive(
        secret.encode()
    )

"""How API keys lie in the database, written down a second time."""

from __future__ import annotations

import json
import os

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def opened(secret: str, user: str, provider: str, data: bytes) -> str:
    """Decrypt what is kept of a key; ``secret`` is ``id:secret``."""
    return _cipher(secret).decrypt(data[:12], data[12:], _bound(user, provider)).decode()


def sealed(secret: str, user: str, provider: str, key: str) -> bytes:
    """Encrypt a key as it would be kept."""
    nonce = os.urandom(12)
    return nonce + _cipher(secret).encrypt(nonce, key.encode(), _bound(user, provider))


def _cipher(secret: str) -> AESGCM:
    derive = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"voxflow api_keys")
    return AESGCM(derive.derive(secret.partition(":")[2].encode()))


def _bound(user: str, provider: str) -> bytes:
    return json.dumps([user, provider]).encode()

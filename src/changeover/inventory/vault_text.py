"""What ``ansible-vault`` encrypted, decrypted: its format 1.1 and 1.2 with AES256.

The first line is ``$ANSIBLE_VAULT;VERSION;CIPHER[;ID]``. The rest is, in hex, three lines that are
hex themselves: the salt, an HMAC of the encrypted text, and the encrypted text. The password and
the salt give the two keys and the first counter. Ansible's own library takes a quarter of a second
to be loaded, and every verb would wait for it.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

ITERATIONS = 10_000
KEY_BYTES = 32
COUNTER_BYTES = 16
VERSIONS = frozenset({b"1.1", b"1.2"})


class NotOpenedError(ValueError):
    """The password is another one, or the text is damaged."""


def known(text: bytes) -> bool:
    """Return whether the text says that it is in a format that ``opened`` reads."""
    parts = [part.strip() for part in text.partition(b"\n")[0].split(b";")]
    return len(parts) in {3, 4} and parts[1] in VERSIONS and parts[2] == b"AES256"


def opened(text: bytes, password: bytes) -> bytes:
    """Decrypt the text of a vault file.

    Raises:
        NotOpenedError: The password is another one, or the text is damaged.
    """
    try:
        salt, code, encrypted = (
            binascii.unhexlify(part)
            for part in binascii.unhexlify(b"".join(text.partition(b"\n")[2].split())).split(b"\n")
        )
    except ValueError as error:
        raise NotOpenedError("it is not what ansible-vault writes") from error
    keys = hashlib.pbkdf2_hmac("sha256", password, salt, ITERATIONS, 2 * KEY_BYTES + COUNTER_BYTES)
    key, code_key, counter = keys[:KEY_BYTES], keys[KEY_BYTES:-COUNTER_BYTES], keys[-COUNTER_BYTES:]
    if not hmac.compare_digest(hmac.digest(code_key, encrypted, "sha256"), code):
        raise NotOpenedError("its code is not what this password gives")
    decryptor = Cipher(algorithms.AES256(key), modes.CTR(counter)).decryptor()
    unpadder = PKCS7(COUNTER_BYTES * 8).unpadder()
    padded = decryptor.update(encrypted) + decryptor.finalize()
    return unpadder.update(padded) + unpadder.finalize()

"""API keys: how one is written, and what is kept of it.

``rb_<id>_<secret><checksum>``: the id (8 letters or digits) is shown in lists, the secret (40,
about 238 bits) is never stored, the checksum (6, CRC-32 of all before it) tells a mistyped or cut
key, and a leaked one in a file, without a database. A key is one word, so that a double click
selects it.

What is stored is the SHA-256 of the key. A slow hash, as for passwords, would add nothing: nobody
can try 2^238 secrets.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
import zlib
from dataclasses import dataclass

PREFIX = "rb_"
_LETTERS = string.digits + string.ascii_letters
_ID, _SECRET, _CHECKSUM = 8, 40, 6
_FORM = re.compile(rf"rb_([0-9a-zA-Z]{{{_ID}}})_[0-9a-zA-Z]{{{_SECRET + _CHECKSUM}}}", re.ASCII)


@dataclass(frozen=True)
class NewKey:
    """A key that was just made: ``text`` is shown once, ``id`` and ``secret_hash`` are stored."""

    id: str
    text: str
    secret_hash: str


def make_key() -> NewKey:
    """Return a new key from the system's source of randomness."""
    key_id = _random(_ID)
    body = f"{PREFIX}{key_id}_{_random(_SECRET)}"
    text = body + _checksum(body)
    return NewKey(key_id, text, hash_of(text))


def id_of(text: str) -> str | None:
    """Return the id in a key; None if it is none, is cut off or mistyped."""
    found = _FORM.fullmatch(text)
    if found is None or _checksum(text[:-_CHECKSUM]) != text[-_CHECKSUM:]:
        return None
    return found[1]


def hash_of(text: str) -> str:
    """Return what is stored of a key: its SHA-256 in hex."""
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def matches(text: str, secret_hash: str | None) -> bool:
    """Whether this is the key of a stored hash, in a time that does not depend on the answer.

    ``None`` (no such key) is compared, too, so that ids cannot be found out by the time.
    """
    same = hmac.compare_digest(hash_of(text), secret_hash or hash_of(""))
    return same and secret_hash is not None


def _random(length: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(length))


def _checksum(body: str) -> str:
    number, digits = zlib.crc32(body.encode("ascii")), ""
    for _ in range(_CHECKSUM):  # 62^6 is more than 2^32
        number, digit = divmod(number, len(_LETTERS))
        digits = _LETTERS[digit] + digits
    return digits

"""One row of PostgreSQL's COPY text format, and the encodings it may be written in."""

from __future__ import annotations

import re

from rag_bench.errors import DumpError

_ESCAPE = re.compile(rb"\\(?:([0-7]{1,3})|x([0-9A-Fa-f]{1,2})|(.))", re.S)
_NAMED = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}

# Client encodings in which a byte below 128 is always ASCII, so that rows can be split and
# unescaped before they are decoded. The others (SJIS, BIG5, GBK, ...) are refused.
CODECS = {
    "UTF8": "utf-8",
    "UNICODE": "utf-8",
    "SQLASCII": "utf-8",  # no declared encoding: UTF-8 or refused, never guessed
    "WIN1250": "cp1250",
    "WIN1251": "cp1251",
    "WIN": "cp1251",
    "WIN1252": "cp1252",
    "WIN1253": "cp1253",
    "WIN1254": "cp1254",
    "WIN1257": "cp1257",
    "WIN866": "cp866",
    "ALT": "cp866",
    "KOI8": "koi8-r",
    "KOI8R": "koi8-r",
    "KOI8U": "koi8-u",
    "ISO88595": "iso8859-5",
    "LATIN1": "iso8859-1",
    "LATIN2": "iso8859-2",
    "LATIN5": "iso8859-9",
    "LATIN9": "iso8859-15",
}


def codec_of(client_encoding: str) -> str:
    """Return Python's name of a PostgreSQL client encoding.

    Raises:
        DumpError: it cannot be read here.

    """
    key = re.sub(r"[^A-Z0-9]", "", client_encoding.upper())
    if key not in CODECS:
        raise DumpError(
            f"the text is in encoding {client_encoding!a}, which is not read here. "
            "Make the dump with `pg_dump --encoding=UTF8 ...`."
        )
    return CODECS[key]


def _replace(match: re.Match[bytes]) -> bytes:
    octal, hexadecimal, other = match.groups()
    if octal is not None:
        return bytes([int(octal, 8) & 0xFF])
    if hexadecimal is not None:
        return bytes([int(hexadecimal, 16)])
    if other == b".":
        raise ValueError("an end-of-data marker inside a row")
    return _NAMED.get(other, other)


def unescape(field: bytes) -> bytes | None:
    r"""Return the value of one field of COPY text; None for ``\N``.

    PostgreSQL documentation, COPY, "Text Format": ``\b \f \n \r \t \v``, up to three octal
    digits, ``\x`` and up to two hexadecimal digits; any other character stands for itself.

    Raises:
        ValueError: the field ends in a lone backslash or holds an end-of-data marker.

    """
    if b"\\" not in field:
        return field
    if field == rb"\N":
        return None
    if (len(field) - len(field.rstrip(b"\\"))) % 2:
        raise ValueError("a field that ends in a lone backslash")
    return _ESCAPE.sub(_replace, field)

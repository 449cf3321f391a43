"""Split the SQL text of a dump into statements without executing or understanding them.

Only what decides where a statement ends is tracked, by psql's own rules: string literals (with
and without backslash escapes), quoted identifiers, dollar quotes, nested comments, parentheses
and ``BEGIN ATOMIC`` bodies. So a line inside a function body or a comment is never taken for a
statement, whatever it looks like.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from rag_bench.errors import DumpError
from rag_bench.source.limits import quoted

HEAD_LIMIT = 65_536  # bytes kept of a statement: enough for any COPY line, whatever follows

_SPECIAL = re.compile(rb"'|\"|\$|;|--|/\*|\(|\)|\\")
_DOLLAR_TAG = re.compile(rb"\$(?:[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*)?\$")
_ESCAPED_END = re.compile(rb"\\.|'", re.S)
_COMMENT_EDGE = re.compile(rb"/\*|\*/")
_ROUTINE = re.compile(rb"\s*CREATE\s+(?:OR\s+REPLACE\s+)?(?:FUNCTION|PROCEDURE)\b", re.I)
_BLOCK_WORD = re.compile(rb"\b(?:BEGIN|CASE|END)\b", re.I)
_WORD = re.compile(r"[A-Za-z]+")
_IDENTIFIER_BYTES = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_$" + bytes(range(128, 256))
)

# First words of every PostgreSQL command; anything else between statements is damage.
_COMMANDS = frozenset(
    re.findall(
        r"\w+",
        """ABORT ALTER ANALYZE BEGIN CALL CHECKPOINT CLOSE CLUSTER COMMENT COMMIT COPY CREATE
        DEALLOCATE DECLARE DELETE DISCARD DO DROP END EXECUTE EXPLAIN FETCH GRANT IMPORT INSERT
        LISTEN LOAD LOCK MERGE MOVE NOTIFY PREPARE REASSIGN REFRESH REINDEX RELEASE RESET REVOKE
        ROLLBACK SAVEPOINT SECURITY SELECT SET SHOW START TABLE TRUNCATE UNLISTEN UPDATE VACUUM
        VALUES WITH""",
    )
)


class _State(Enum):
    PLAIN = auto()
    LITERAL = auto()
    ESCAPED_LITERAL = auto()
    IDENTIFIER = auto()
    DOLLAR = auto()
    COMMENT = auto()


@dataclass(frozen=True)
class Statement:
    """A statement without its comments and dollar-quoted bodies, cut at ``HEAD_LIMIT``."""

    text: str
    line: int  # where it starts, from 1
    cut: bool
    ends_line: bool  # nothing but blanks follows its semicolon


class StatementScanner:
    """Fed line by line.

    Args:
        on_aside: gets what stands between statements: the text of ``--`` comments, and psql
            commands from their backslash on.

    """

    def __init__(self, on_aside: Callable[[str], None]) -> None:
        self._on_aside = on_aside
        self._state = _State.PLAIN
        self._dollar_tag = b""
        self._comment_depth = 0
        self._reset()
        self.standard_strings = True  # backslashes mean nothing in '...', as since 9.1

    def _reset(self) -> None:
        self._head = bytearray()
        self._cut = False
        self._start_line = 0
        self._parentheses = 0
        self._blocks = 0
        self._is_routine: bool | None = None

    def _keep(self, piece: bytes, number: int) -> None:
        if not self._head:
            piece = piece.lstrip()
            if not piece:
                return
            self._start_line = number
        room = HEAD_LIMIT - len(self._head)
        self._cut = self._cut or len(piece) > room
        self._head += piece[:room]

    @property
    def open_since(self) -> int | None:
        """Line of the statement, literal or comment that is still open; None between statements."""
        if self._state is not _State.PLAIN or self._head:
            return self._start_line or 1
        return None

    def feed(self, line: bytes, number: int) -> list[Statement]:
        """Take one line of SQL text and return the statements that end on it.

        Raises:
            DumpError: the line cannot be SQL as pg_dump writes it.

        """
        done: list[Statement] = []
        position = 0
        while position < len(line):
            if self._state is _State.PLAIN:
                position = self._plain(line, position, number, done)
            else:
                position = self._quoted(line, position, number)
        return done

    def _plain(self, line: bytes, position: int, number: int, done: list[Statement]) -> int:
        match = _SPECIAL.search(line, position)
        if match is None:
            self._words(line[position:], number)
            return len(line)
        start, token = match.start(), match.group()
        self._words(line[position:start], number)
        if token == b"--":
            if not self._head:
                self._on_aside(line[start + 2 :].decode("utf-8", "replace").strip())
            self._keep(b" ", number)
            return len(line)
        if token == b"\\":
            return self._backslash(line, start, number)
        if token == b"/*":
            self._state, self._comment_depth = _State.COMMENT, 1
            self._keep(b" ", number)
            self._start_line = self._start_line or number
        elif token == b"$":
            return self._dollar(line, start, number)
        elif token == b"'":
            self._state = (
                _State.ESCAPED_LITERAL
                if not self.standard_strings or _has_escape_prefix(line, start)
                else _State.LITERAL
            )
            self._keep(token, number)
        elif token == b'"':
            self._state = _State.IDENTIFIER
            self._keep(token, number)
        elif token == b";" and self._parentheses == 0 and self._blocks == 0:
            self._finish(done, ends_line=not line[match.end() :].strip())
        else:
            self._parentheses += {b"(": 1, b")": -1}.get(token, 0)
            self._parentheses = max(self._parentheses, 0)
            self._keep(token, number)
        return match.end()

    def _words(self, piece: bytes, number: int) -> None:
        """Keep plain text; count BEGIN ... END in a routine, whose body may hold semicolons.

        As in psql, words inside parentheses do not count: an argument may be named ``begin``.
        """
        self._keep(piece, number)
        if self._is_routine is None and len(self._head) > 40:
            self._is_routine = _ROUTINE.match(self._head) is not None
        if self._parentheses == 0 and (
            self._is_routine or (self._is_routine is None and _ROUTINE.match(self._head))
        ):
            for word in _BLOCK_WORD.findall(piece):
                if word.upper() == b"BEGIN" or (word.upper() == b"CASE" and self._blocks):
                    self._blocks += 1
                elif word.upper() == b"END" and self._blocks:
                    self._blocks -= 1

    def _quoted(self, line: bytes, position: int, number: int) -> int:
        """Go on inside a literal, quoted identifier, dollar quote or comment."""
        if self._state is _State.COMMENT:
            edge = _COMMENT_EDGE.search(line, position)
            if edge is None:
                return len(line)
            self._comment_depth += 1 if edge.group() == b"/*" else -1
            if self._comment_depth == 0:
                self._state = _State.PLAIN
            return edge.end()
        if self._state is _State.DOLLAR:
            end = line.find(self._dollar_tag, position)
            if end < 0:
                return len(line)
            self._state = _State.PLAIN
            self._keep(b"$$", number)
            return end + len(self._dollar_tag)
        if self._state is _State.ESCAPED_LITERAL:
            scan = position
            end = -1
            while match := _ESCAPED_END.search(line, scan):
                scan = match.end()
                if match.group() == b"'":
                    if line[scan : scan + 1] != b"'":
                        end = match.start()
                        break
                    scan += 1
        else:
            # A doubled quote closes and opens again, which comes to the same.
            end = line.find(b"'" if self._state is _State.LITERAL else b'"', position)
        if end < 0:
            self._keep(line[position:], number)
            return len(line)
        self._state = _State.PLAIN
        self._keep(line[position : end + 1], number)
        return end + 1

    def _dollar(self, line: bytes, start: int, number: int) -> int:
        tag = _DOLLAR_TAG.match(line, start)
        if tag is None or (start > 0 and line[start - 1] in _IDENTIFIER_BYTES):
            self._keep(b"$", number)  # a parameter, or part of a name
            return start + 1
        self._state, self._dollar_tag = _State.DOLLAR, tag.group()
        self._keep(b"$$", number)
        return tag.end()

    def _backslash(self, line: bytes, start: int, number: int) -> int:
        r"""A psql command (``\connect``, ``\restrict``, ``\!``): passed over, never run."""
        rest = line[start:].strip()
        if rest == b"\\.":
            raise DumpError(
                f"line {number}: an end of table data (\\.) where no table data began; "
                "the dump is damaged. Make it again with pg_dump."
            )
        if self._head:
            raise DumpError(
                f"line {number}: {quoted(rest.decode('utf-8', 'replace'), 40)} inside a statement "
                "is not SQL; the dump is damaged. Make it again with pg_dump."
            )
        self._on_aside(rest.decode("utf-8", "replace"))
        return len(line)

    def _finish(self, done: list[Statement], *, ends_line: bool) -> None:
        text = self._head.decode("utf-8", "replace").strip()
        line, cut = self._start_line, self._cut
        self._reset()
        if not text:
            return
        word = _WORD.match(text.lstrip("("))
        if word is None or word.group().upper() not in _COMMANDS:
            raise DumpError(
                f"line {line}: {quoted(text, 40)} is not an SQL statement; the dump is damaged. "
                "Make it again with pg_dump."
            )
        done.append(Statement(text, line, cut, ends_line))


def _has_escape_prefix(line: bytes, quote: int) -> bool:
    """Whether the quote at this offset opens an ``E'...'`` literal."""
    if quote < 1 or line[quote - 1] not in b"eE":
        return False
    return quote < 2 or line[quote - 2] not in _IDENTIFIER_BYTES

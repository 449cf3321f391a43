"""Finding personal data in texts, and masking it. One function for whatever shows users' words."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Sequence

from rag_bench.evaluation.text.text_folding import in_one_script, readable
from rag_bench.privacy.contacts import contacts
from rag_bench.privacy.kinds import PLACEHOLDERS, Kind, Span, blanked
from rag_bench.privacy.latin_names import latin_names
from rag_bench.privacy.numbers import numbers
from rag_bench.privacy.public_names import NOBODY, PublicNames
from rag_bench.privacy.recognizer import people
from rag_bench.privacy.russian_names import by_recognizer, by_words, may_name_somebody

_BEFORE_NAME = re.compile(
    r"(?<!\w)(?:(?:фон|ван|дер|ибн|бен|бин|аль|эль|von|van|der|ibn|bin|bint)[ -]){1,2}\Z",
    re.IGNORECASE,
)
_BEHIND_NAME = re.compile(r" (?:оглы|оглу|кызы|гызы|кизи|улы)(?!\w)", re.IGNORECASE)
_LONGEST_PARTICLE = 10
# What finds names was not made for several threads at once.
_one_at_a_time = threading.RLock()


def find(text: str, public_names: PublicNames = NOBODY) -> list[Span]:
    """Return the personal data of a text, in order; nothing overlaps.

    Positions are those of ``readable(text)``, which has no invisible characters and no full-width
    digits, and may be shorter than the text.

    Args:
        text: of any language; names are found in Russian and, less surely, in English.
        public_names: these are not personal.

    Raises:
        NotInstalledError: the recognizer's weights are not there.
    """
    return find_all([text], public_names)[0]


def find_all(texts: Sequence[str], public_names: PublicNames = NOBODY) -> list[list[Span]]:
    """Return `find` of each text; much faster than one by one. Equal texts are read once.

    What is found in a text does not depend on the texts beside it. From any thread.
    """
    with _one_at_a_time:
        return _find_all(texts, public_names)


def _find_all(texts: Sequence[str], public_names: PublicNames) -> list[list[Span]]:
    distinct = list(dict.fromkeys(texts))
    shown = [readable(text) for text in distinct]
    certain = [_certain(text) for text in shown]
    left = [in_one_script(blanked(text, s)) for text, s in zip(shown, certain, strict=True)]
    asked = [i for i, text in enumerate(left) if may_name_somebody(text)]
    recognised: dict[int, list[tuple[int, int]]] = {}
    if asked:
        recognised = dict(zip(asked, people([left[i] for i in asked]), strict=True))
    found = {}
    for i, text in enumerate(left):
        names = [*by_words(text), *latin_names(text), *by_recognizer(text, recognised.get(i, ()))]
        persons = [
            Span(start, end, Kind.NAME)
            for start, end in _joined(text, (_whole(text, *name) for name in names))
            if not public_names.hold(text[start:end])
        ]
        found[distinct[i]] = sorted([*certain[i], *persons])
    return [found[text] for text in texts]


def mask(text: str, public_names: PublicNames = NOBODY, *, blank: bool = False) -> str:
    """Return a text with a placeholder for each piece of personal data.

    The text is `readable` besides: NFKC, without invisible characters.

    Args:
        text: of any language.
        public_names: these stay.
        blank: put a space in place of the placeholder.
    """
    return mask_all([text], public_names, blank=blank)[0]


def mask_all(
    texts: Sequence[str],
    public_names: PublicNames = NOBODY,
    *,
    blank: bool = False,
    leave: re.Pattern[str] | None = None,
) -> list[str]:
    """Return `mask` of each text; much faster than one by one. What ``leave`` matches stays."""
    read = [readable(text) for text in texts]
    looked_at = read if leave is None else [leave.sub(_spaces, text) for text in read]
    return [
        _masked(text, spans, blank)
        for text, spans in zip(read, find_all(looked_at, public_names), strict=True)
    ]


def _spaces(match: re.Match[str]) -> str:
    return " " * len(match[0])


def prepare() -> None:
    """Load what finding needs, once, so that nothing is imported where calls run already."""
    from phonenumbers import PhoneMetadata

    # Each country's phones are a module of their own.
    PhoneMetadata.load_all()
    mask("Меня зовут Пётр Иванов, +7 912 345-67-89")


def _certain(text: str) -> list[Span]:
    """What is told by its form: contacts, then numbers."""
    found = contacts(text)
    return found + numbers(blanked(text, found))


def _whole(text: str, start: int, end: int) -> tuple[int, int]:
    """Return a name with the small words that belong to it: «фон Берг», «Ариф кызы»."""
    before = _BEFORE_NAME.search(text, max(0, start - _LONGEST_PARTICLE), start)
    behind = _BEHIND_NAME.match(text, end)
    return (before.start() if before else start), (behind.end() if behind else end)


def _joined(text: str, names: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return names without overlaps; two with nothing but a space between them are one."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(names):
        if joined and (start <= joined[-1][1] or text[joined[-1][1] : start] == " "):
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def _masked(text: str, spans: Sequence[Span], blank: bool) -> str:
    parts, at = [], 0
    for span in spans:
        parts += [text[at : span.start], " " if blank else PLACEHOLDERS[span.kind]]
        at = span.end
    return "".join([*parts, text[at:]])

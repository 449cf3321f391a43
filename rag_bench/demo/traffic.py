"""Some thousand questions as a help desk's bot gets them, made of the phrasings by seed.

The counts are those of ``shape``: they are met exactly where a row can be assigned (months, users,
answered, rated, repeated), and the texts' lengths closely.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import accumulate

from rag_bench.demo import shape, wording
from rag_bench.demo.answers import Answerer
from rag_bench.demo.corpus import Corpus, Page, Phrasing
from rag_bench.demo.dice import Dice
from rag_bench.demo.slots import Slot, make_slots
from rag_bench.demo.variation import MIN_LENGTH, recase, vary
from rag_bench.errors import RagBenchError

DEFAULT_ROWS = 5200
DEFAULT_SEED = 20260213

_ATTEMPTS = 60  # at a text that no earlier row has
_SAME_TOPIC = 0.6  # of the later questions of a dialog
_TWO_QUESTIONS = 0.11  # of the messages
_LETTER = 0.007
_LETTER_PARTS = (3, 14)
_OWN_REPEAT = 0.3  # of the repeats: the user asks again in the same words
_WRONG_PAGE = 0.12  # of the answers: retrieval took another page
_STOP_POINT = 0.2  # of the dialogs: the user pressed "new question", since there is that button
_STOP_POINT_SINCE = 2025

# Months in which a topic is asked about thrice as often.
_SEASONS = {
    "admission": (6, 7, 8),
    "aid": (3, 10),
    "diploma": (7,),
    "dormitory": (8, 9),
    "exams": (1, 6, 12),
    "expulsion": (2, 3),
    "grades": (1, 6),
    "military": (4, 10),
    "restoration": (7, 8),
    "stipend": (2, 9, 10),
    "thesis": (4, 5, 6),
    "timetable": (2, 9),
}
_SEASON_FACTOR = 3


@dataclass(frozen=True, slots=True)
class Exchange:
    """One row of ``question_answer``: what was asked and what the bot said.

    ``topic`` and ``page`` (a slug, None: no page covers the question) are the generator's own
    knowledge and do not get into the dump.
    """

    id: int
    question: str
    answer: str
    page_url: str | None
    score: int | None
    user_id: int
    created_at: datetime | None
    updated_at: datetime | None
    stop_point: bool
    topic: str | None
    page: str | None


@dataclass(frozen=True, slots=True)
class _Asked:
    text: str
    phrasing: Phrasing | None  # None: a message without letters


class _Source:
    """Draws phrasings: topics by a Zipf-like law and season, then wordings, short ones first."""

    def __init__(self, phrasings: Sequence[Phrasing], dice: Dice) -> None:
        by_topic: dict[str, list[Phrasing]] = defaultdict(list)
        for phrasing in phrasings:
            by_topic[phrasing.topic].append(phrasing)
        self.topics = sorted(by_topic, key=lambda topic: (-len(by_topic[topic]), topic))
        self._phrasings = {topic: dice.shuffled(by_topic[topic]) for topic in self.topics}
        self._sums = {
            topic: list(
                accumulate(
                    _favour(phrasing.text) / (rank + 5) for rank, phrasing in enumerate(found)
                )
            )
            for topic, found in self._phrasings.items()
        }

    def __bool__(self) -> bool:
        return bool(self.topics)

    def topic(self, month: int | None, dice: Dice) -> str:
        weights = [
            (_SEASON_FACTOR if month in _SEASONS.get(topic, ()) else 1) / (rank + 4)
            for rank, topic in enumerate(self.topics)
        ]
        return self.topics[dice.weighted(weights)]

    def phrasing(self, topic: str, dice: Dice) -> Phrasing:
        return self._phrasings[topic][dice.cumulative(self._sums[topic])]


def _favour(text: str) -> int:
    """Return how much likelier a wording is for its length: many short ones, some stories."""
    return 9 if len(text) <= 24 else 3 if len(text) <= 36 else 1 if len(text) <= 80 else 2


def generate_traffic(
    corpus: Corpus,
    phrasings: Sequence[Phrasing],
    n_rows: int = DEFAULT_ROWS,
    seed: int = DEFAULT_SEED,
) -> list[Exchange]:
    """Return ``n_rows`` rows by id: first those without a time, then by time.

    The same corpus, phrasings, number and seed give the same rows everywhere.

    Raises:
        RagBenchError: no phrasings to draw from, or fewer than 10 rows asked for.

    """
    if n_rows < 10:
        raise RagBenchError("Traffic of fewer than 10 rows has no shape; ask for more.")
    if not any(phrasing.lang != "en" for phrasing in phrasings):
        raise RagBenchError("There are no phrasings to make traffic of.")
    dice = Dice(seed)
    slots = make_slots(n_rows, dice)
    asked = _ask(slots, phrasings, dice)
    answered = _answer(asked, corpus, dice)
    rows = []
    for number, (slot, question, (answer, url)) in enumerate(
        zip(slots, asked, answered, strict=True), 1
    ):
        late = slot.created_at is not None and slot.created_at.year >= _STOP_POINT_SINCE
        rows.append(
            Exchange(
                id=number,
                question=question.text,
                answer=answer,
                page_url=url,
                score=None,
                user_id=slot.user_id,
                created_at=slot.created_at,
                updated_at=None,
                stop_point=late and slot.last and dice.chance(_STOP_POINT),
                topic=question.phrasing.topic if question.phrasing else None,
                page=question.phrasing.page if question.phrasing else None,
            )
        )
    return _rate(rows, corpus, dice)


# Questions ------------------------------------------------------------------------------------


def _ask(slots: Sequence[Slot], phrasings: Sequence[Phrasing], dice: Dice) -> list[_Asked]:
    n = len(slots)
    main = _Source([p for p in phrasings if p.lang != "en"], dice)
    english = _Source([p for p in phrasings if p.lang == "en"], dice)
    order = dice.shuffled(range(n))
    n_odd, n_latin = shape.scaled(shape.NO_LETTERS, n), shape.scaled(shape.LATIN_ONLY, n)
    odd, latin = set(order[:n_odd]), set(order[n_odd : n_odd + n_latin]) if english else set()
    first = n // 50  # something must have been said before it can be repeated
    plain = [at for at in order[n_odd + n_latin :] if at >= first]
    repeats = set(plain[: shape.scaled(shape.REPEATED_TEXTS, n)])

    asked: list[_Asked] = []
    used: set[str] = set()
    repeatable: list[int] = []
    by_user: dict[int, list[int]] = defaultdict(list)
    topics: dict[int, str] = {}
    for at, slot in enumerate(slots):
        if at in odd:
            made = _Asked(_fresh(used, lambda _: _odd(dice)), None)
        elif at in latin:
            made = _compose(english, english.topic(_month(slot), dice), used, dice)
        elif at in repeats and repeatable:
            own = by_user[slot.user_id]
            if own and dice.chance(_OWN_REPEAT):
                made = asked[dice.pick(own)]
            else:
                candidates = [dice.pick(repeatable) for _ in range(3)]
                made = asked[min(candidates, key=lambda i: len(asked[i].text))]
        else:
            topic = topics.get(slot.dialog)
            if topic is None or not dice.chance(_SAME_TOPIC):
                topic = main.topic(_month(slot), dice)
            topics[slot.dialog] = topic
            made = _compose(main, topic, used, dice)
        if at not in odd and at not in latin:
            repeatable.append(at)
            by_user[slot.user_id].append(at)
        used.add(made.text)
        asked.append(made)
    return asked


def _month(slot: Slot) -> int | None:
    return slot.created_at.month if slot.created_at else None


def _fresh(used: set[str], make: Callable[[int], str]) -> str:
    """Return a text that no row has yet, trying harder each time."""
    text = ""
    for force in range(_ATTEMPTS):
        text = make(force)
        if text not in used and len(text) >= MIN_LENGTH:
            break
    return text


def _compose(source: _Source, topic: str, used: set[str], dice: Dice) -> _Asked:
    """Word a question on the topic: one phrasing, at times two, rarely a whole letter."""
    phrasing = source.phrasing(topic, dice)
    parts = [phrasing]
    covered = phrasing.lang == "ru" and phrasing.page is not None
    letter = covered and dice.chance(_LETTER)
    if letter:
        parts += [source.phrasing(topic, dice) for _ in range(_between(*_LETTER_PARTS, dice))]
    elif covered and dice.chance(_TWO_QUESTIONS):
        parts.append(source.phrasing(topic, dice))
    parts = list(dict.fromkeys(parts))

    def make(force: int) -> str:
        text = vary(phrasing.text, phrasing.lang, dice, force, inner=letter)
        for part, link in zip(parts[1:], dice.shuffled(wording.LINKS_RU), strict=False):
            text = text.rstrip(".,; ") + ("" if text.endswith(("?", "!", ")")) else ".")
            text += link + vary(part.text, part.lang, dice, inner=True)
        text = recase(text, dice)
        if letter:
            text = dice.pick(wording.LETTER_START) + text + dice.pick(wording.LETTER_END)
        return text

    return _Asked(_fresh(used, make), phrasing)


def _between(least: int, most: int, dice: Dice) -> int:
    return least + dice.below(most - least + 1)


def _odd(dice: Dice) -> str:
    """A message without a letter: a group's or room's number, a date, nothing but signs."""
    kind = dice.weighted((4, 3, 2, 3))
    if kind == 0:
        return f"{20 + dice.below(6)}-{100 + dice.below(900)}-{1 + dice.below(4)}"
    if kind == 1:
        return f"{1 + dice.below(31):02d}.{1 + dice.below(12):02d}"
    if kind == 2:
        return str(1000 + dice.below(9000))
    return dice.pick(("?", "!", ")", "(", ".", "+", "?!")) * (4 + dice.below(9))


# Answers --------------------------------------------------------------------------------------


def _answer(asked: Sequence[_Asked], corpus: Corpus, dice: Dice) -> list[tuple[str, str | None]]:
    """Answer the share of rows that the bot answered: mostly such as a page covers."""
    n = len(asked)
    pages = [question.phrasing.page if question.phrasing else None for question in asked]
    luck = [dice.fraction() * (1 if page else 10) for page in pages]
    lucky = sorted(range(n), key=lambda at: luck[at])[: shape.scaled(shape.ANSWERED, n)]
    not_found = set(dice.shuffled(lucky)[: shape.scaled(shape.NOT_FOUND, n)])
    answered = set(lucky)
    answerer = Answerer(corpus)
    by_topic: dict[str, list[Page]] = defaultdict(list)
    for page in corpus.pages:
        by_topic[page.topic].append(page)
    result: list[tuple[str, str | None]] = []
    for at, (question, slug) in enumerate(zip(asked, pages, strict=True)):
        if at not in answered:
            result.append(("", None))
            continue
        page = corpus.by_slug[slug] if slug else dice.pick(corpus.pages)
        if dice.chance(_WRONG_PAGE):
            others = [other for other in by_topic[page.topic] if other is not page]
            page = dice.pick(others or corpus.pages)
        text = answerer.answer(page, question.text, dice)
        result.append((shape.NOT_FOUND_ANSWER if at in not_found else text, page.url))
    return result


# Ratings --------------------------------------------------------------------------------------


def _rate(rows: list[Exchange], corpus: Corpus, dice: Dice) -> list[Exchange]:
    """Rate as few rows as users do: hearts for right answers, thumbs down mostly for wrong ones."""
    urls = {page.slug: page.url for page in corpus.pages}
    scores: dict[int, int] = {}
    for score in (5, 1, 4):
        keys = []
        for at, row in enumerate(rows):
            chances = _chances(row, urls.get(row.page or ""))[score]
            draw = dice.fraction()
            if chances and at not in scores:
                keys.append((draw / chances, at))
        for _, at in sorted(keys)[: shape.scaled(shape.SCORES[score], len(rows))]:
            scores[at] = score
    return [
        replace(row, score=scores[at], updated_at=_later(row.created_at, dice))
        if at in scores
        else row
        for at, row in enumerate(rows)
    ]


def _chances(row: Exchange, right_url: str | None) -> dict[int, float]:
    if not row.answer:
        return {5: 0.0, 1: 1.0, 4: 0.0}
    if row.answer == shape.NOT_FOUND_ANSWER:
        return {5: 0.2, 1: 6.0, 4: 0.0}
    if row.page_url != right_url:
        return {5: 0.4, 1: 14.0, 4: 0.0}
    return {5: 8.0, 1: 2.0, 4: 1.0}


def _later(moment: datetime | None, dice: Dice) -> datetime | None:
    return moment + timedelta(seconds=15 + dice.below(600)) if moment else None

"""Questions of every type, by rule, with faults in stated shares for the critics to find.

The shares and the lists below are the simulator's truth; ``docs/datasets.md`` states them.
"""

from __future__ import annotations

import json
import re
from difflib import SequenceMatcher
from functools import lru_cache

from rag_bench.simulator.sections import Sections
from rag_bench.simulator.text import chance, is_russian, normal, pick
from rag_bench.simulator.writer import Draft, drafted, opened, topic_of

#: Shares of questions with a fault.
UNGROUNDED = 0.05  # the reference answer holds an invented number
VAGUE = 0.05  # nobody can tell what is asked about
ONE_SIDED = 0.15  # of two_chunk: one of the chunks is enough
ANSWERED = 0.15  # of out_of_scope: the chunk does answer it

SLANG = (
    ("стипендию", "стипуху"),
    ("стипендия", "стипуха"),
    ("стипендии", "стипухи"),
    ("общежитие", "общагу"),
    ("общежитии", "общаге"),
    ("общежития", "общаги"),
    ("преподавателей", "преподов"),
    ("преподаватель", "препод"),
    ("университет", "универ"),
    ("университета", "универа"),
)
VAGUE_QUESTIONS = {
    True: (
        "А где это можно сделать и до какого числа?",
        "Подскажите, а туда с какими бумагами идти?",
        "А это для всех так или только для некоторых?",
    ),
    False: (
        "And where can I do that, and until when?",
        "Which papers should I bring there?",
        "Is that so for everybody or only for some?",
    ),
}
#: Beginnings of questions that no help desk's pages answer.
UNDOCUMENTED = {
    True: (
        "Можно ли держать в комнате хомяка",
        "Где в кампусе починить самокат",
        "Кто настраивает пианино в актовом зале",
        "Какой преподаватель добрее всех на экзамене",
        "Почему в столовой убрали сырники",
        "Можно ли прийти на пару с попугаем",
        "Где вернуть забытый в гардеробе зонт",
        "Какая группа победила на последнем квизе",
    ),
    False: (
        "May I keep a hamster in my room",
        "Where on campus can I have a scooter repaired",
        "Who tunes the piano in the assembly hall",
        "Which lecturer is the kindest at exams",
        "Why did the canteen drop the pancakes",
        "May I bring a parrot to a lecture",
    ),
}
_WHEN = {
    True: ("во время сессии", "на первом курсе", "по субботам", "этой зимой", "после шести вечера"),
    False: ("during the exams", "in my first year", "on Saturdays", "this winter", "after six"),
}
_IF = {
    True: ("я первокурсник", "я учусь на платном", "я на заочке", "я приехал из другой страны"),
    False: ("I am a first-year student", "I pay tuition", "I study part-time", "I am from abroad"),
}
_CONDITIONAL = {True: "Если {}, то {}?", False: "If {}, {}?"}
_BOTH = {
    True: "Мне нужно и «{}», и «{}»: что для этого важно знать?",
    False: 'I need both "{}" and "{}": what should I know for that?',
}
_ONE = {True: "Мне нужно «{}»: что для этого важно знать?", False: 'I need "{}": what to know?'}
_FILLERS = {True: ("ну", "типа", "вообще", "короче"), False: ("like", "well", "anyway", "kinda")}
_WORDS_IN_A_ROW = 4
_ALIKE = 0.9


def typed_question(kind: str, asked: Sections) -> str:
    """Return the JSON of a question of a type, in the form that the type's schema asks for."""
    text = asked.chunk or asked.context
    n = len(asked.question.splitlines())
    russian = is_russian(text)
    if kind == "out_of_scope":
        return _json(question=_out_of_scope(text, n, russian), reason="—")
    if kind == "two_chunk":
        draft = _two_chunk(asked, russian)
        return _json(question=draft.body, reference_answer=draft.reference)
    draft = drafted(text, n)
    question = opened(draft.body, text)
    if kind == "conditional":
        question = _CONDITIONAL[russian].format(pick(_IF[russian], "if", text, n), draft.body)
    elif kind == "paraphrased":
        question = _informal(draft.body, russian, text)
    reference = _with_faults(draft.reference[:600], kind, text, n, russian)
    if chance("vague", kind, text, n) < VAGUE:
        question = pick(VAGUE_QUESTIONS[russian], "vague", text, n)
    if kind == "misspelt":
        spoilt = _misspelt(question, text)
        return _json(clean_question=question, question=spoilt, reference_answer=reference)
    return _json(question=question, reference_answer=reference)


def _json(**fields: str) -> str:
    return json.dumps(fields, ensure_ascii=False)


def _with_faults(reference: str, kind: str, text: str, n: int, russian: bool) -> str:
    """Return a reference answer, now and then with a number that the chunk does not have."""
    if chance("ungrounded", kind, text, n) >= UNGROUNDED:
        return reference
    invented = str(1_000_003 + int(chance("number", text) * 1_000_000))
    if re.search(r"\d+", reference):
        return re.sub(r"\d+", invented, reference, count=1)
    return f"{reference} {'Это до' if russian else 'Up to'} {invented}."


def _out_of_scope(text: str, n: int, russian: bool) -> str:
    if chance("answered", text, n) < ANSWERED:
        return opened(drafted(text, n).body, text)
    begins = pick(UNDOCUMENTED[russian], "undocumented", text, n)
    return f"{begins} {pick(_WHEN[russian], 'when', text, n)}?"


def _two_chunk(asked: Sections, russian: bool) -> Draft:
    texts = [text for _, text in asked.fragments]
    topics = [topic_of(text) for text in texts]
    reference = " ".join(drafted(text).reference[:300] for text in texts)
    if chance("one-sided", *texts) < ONE_SIDED:
        return Draft(_ONE[russian].format(topics[0]), reference)
    return Draft(_BOTH[russian].format(*topics[:2]), reference)


def _informal(body: str, russian: bool, text: str) -> str:
    """Return a question as written to friends: small letters, slang, fillers, no mark."""
    plain = body.casefold()
    for word, slang in SLANG:
        plain = re.sub(rf"\b{word}\b", slang, plain)
    words: list[str] = []
    for place, word in enumerate(plain.split()):
        if place and place % _WORDS_IN_A_ROW == 0:
            words.append(pick(_FILLERS[russian], "filler", place, text))
        words.append(word)
    start = "народ, " if russian else "hey guys, "
    return (start + " ".join(words)).rstrip(" ?.,;:")


def _misspelt(question: str, text: str) -> str:
    """Return a question as typed in a hurry: small letters, no mark, two words spoilt."""
    words = question.casefold().rstrip(" ?").split()
    long = [place for place, word in enumerate(words) if len(re.findall(r"[^\W\d_]", word)) >= 5]
    first = int(chance("spoilt", text) * len(long)) if long else 0
    for place in {*long[first : first + 1], *long[-1:]}:
        words[place] = _slip(words[place])
    return " ".join(words)


def _slip(word: str) -> str:
    """Return a word with two letters in its middle exchanged, or one lost where they are equal."""
    letters = [place for place, letter in enumerate(word) if letter.isalpha()]
    a, b = letters[len(letters) // 2 - 1], letters[len(letters) // 2]
    if word[a] == word[b]:
        return word[:a] + word[b:]
    return word[:a] + word[b] + word[a + 1 : b] + word[a] + word[b + 1 :]


@lru_cache(maxsize=8_192)
def is_vague(question: str) -> bool:
    """Tell whether a question is one that nobody can understand, however it is spelt."""
    plain = normal(question)
    return any(
        SequenceMatcher(None, plain, normal(vague), autojunk=False).ratio() > _ALIKE
        for vagues in VAGUE_QUESTIONS.values()
        for vague in vagues
    )


def is_undocumented(question: str) -> bool:
    """Tell whether a question is one of those that no page answers."""
    plain = normal(question)
    return any(
        plain.startswith(normal(begins)) for begun in UNDOCUMENTED.values() for begins in begun
    )

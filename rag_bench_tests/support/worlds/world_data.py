"""The texts of the small world: pages, questions, pairs, traffic; as a dump and as files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from rag_bench.hashing import chunk_hash

SITE = "https://help.example.org"
# (page, text); two chunks a page, Russian and English.
CHUNKS = (
    (
        "stipendiya",
        "Когда платят стипендию\nСтипендию перечисляют 25-го числа каждого месяца на карту «Мир». "
        "Если 25-е выпало на выходной, деньги приходят днём раньше.",
    ),
    (
        "stipendiya",
        "Социальная стипендия\nСправку о доходах семьи приносят в кабинет А-212 до 10 октября. "
        "Выплату назначают со следующего месяца и на один год.",
    ),
    (
        "obshezhitie",
        "Гости в общежитии\nГостей пускают с 9 до 21 часа по паспорту. Ночевать гостям нельзя, "
        "кроме родителей по заявлению коменданту.",
    ),
    (
        "obshezhitie",
        "Оплата общежития\nКомната стоит 940 рублей в месяц. Платят до 5 числа через личный "
        "кабинет, за просрочку начисляют пени.",
    ),
    (
        "peresdacha",
        "Пересдачи\nПервая пересдача проходит с 10 по 20 февраля, вторую принимает комиссия из "
        "трёх преподавателей. Направление берут в деканате.",
    ),
    (
        "peresdacha",
        "Академический отпуск\nЗаявление на академический отпуск подают в деканат вместе с "
        "медицинским заключением. Отпуск дают не больше чем на два года.",
    ),
    (
        "library",
        "Library opening hours\nThe reading room is open from 10 am to 8 pm on weekdays and until "
        "5 pm on Saturday. It is closed on Sunday.",
    ),
    (
        "library",
        "Borrowing books\nStudents may borrow six books for 30 days with a student card. A lost "
        "book is replaced by the same edition.",
    ),
    (
        "transfer",
        "Перевод на бюджет\nЗаявление на перевод с платного места подают после сессии, если нет "
        "троек за последние два семестра. Решает комиссия 1 марта.",
    ),
    (
        "transfer",
        "Changing the faculty\nA transfer to another faculty needs an interview with the dean and "
        "an academic record. The difference in courses is passed within one semester.",
    ),
)
# (question, reference answer, number of the chunk)
GOLD = (
    ("Какого числа приходит стипендия?", "Стипендию перечисляют 25-го числа каждого месяца.", 0),
    (
        "что будет если 25 число выходной",
        "Если 25-е выпало на выходной, деньги приходят днём раньше.",
        0,
    ),
    (
        "Куда нести справку о доходах?",
        "Справку о доходах семьи приносят в кабинет А-212 до 10 октября.",
        1,
    ),
    ("До скольки можно гостям в общаге?", "Гостей пускают с 9 до 21 часа по паспорту.", 2),
    ("Можно ли маме переночевать у меня?", "Родителям можно по заявлению коменданту.", 2),
    ("Сколько стоит комната?", "Комната стоит 940 рублей в месяц.", 3),
    ("Когда первая пересдача?", "Первая пересдача проходит с 10 по 20 февраля.", 4),
    ("Кто принимает вторую пересдачу?", "Вторую принимает комиссия из трёх преподавателей.", 4),
    ("Как уйти в академ?", "Подать заявление в деканат вместе с медицинским заключением.", 5),
    (
        "When is the reading room open on Saturday?",
        "The reading room is open until 5 pm on Saturday.",
        6,
    ),
    ("How many books may I take home?", "Students may borrow six books for 30 days.", 7),
    (
        "Как перевестись на бюджет?",
        "Подать заявление после сессии, если нет троек за последние два семестра.",
        8,
    ),
    (
        "What do I need to change my faculty?",
        "An interview with the dean and an academic record.",
        9,
    ),
    ("Когда комиссия решает о переводе на бюджет?", "Решает комиссия 1 марта.", 8),
)
# (question, answer, number of the chunk, to be shown)
PAIRS = (
    ("Когда стипендия?", "25-го числа каждого месяца, на карту «Мир».", 0, True),
    ("Когда стипендия?", "5-го числа, наличными в кассе.", 0, False),
    ("До скольки гости?", "С 9 до 21 часа, нужен паспорт.", 2, True),
    ("До скольки гости?", "Гости могут остаться на ночь без документов.", 2, False),
    ("Сколько стоит комната?", "940 рублей в месяц.", 3, True),
    ("Сколько стоит комната?", "Бесплатно для всех.", 3, False),
    ("Is the library open on Sunday?", "No, it is closed on Sunday.", 6, True),
    ("Is the library open on Sunday?", "Yes, from 8 am to midnight.", 6, False),
)
TRAFFIC = (
    ("когда стипа", "25-го числа", "stipendiya", 5),
    ("где мой чемодан", None, None, None),
    ("во сколько закрывают общагу", "В 21 час уходят гости", "obshezhitie", 1),
)


def url_of(page: str) -> str:
    return f"{SITE}/{page}"


def hash_of(number: int) -> str:
    """The address of a chunk of the world."""
    page, words = CHUNKS[number]
    return chunk_hash(url_of(page), words)


def plain_dump(first_id: int = 1, chunks: Iterable[tuple[str, str]] = CHUNKS) -> str:
    """A plain SQL dump of the production schema; a reindex changes ``first_id`` and the order."""

    def cell(value: object) -> str:
        return "\\N" if value is None else str(value).replace("\\", "\\\\").replace("\n", "\\n")

    def block(head: str, rows: Iterable[Sequence[object]]) -> str:
        lines = ["\t".join(map(cell, row)) for row in rows]
        return "\n".join([f"COPY public.{head} FROM stdin;", *lines, "\\.", ""])

    when = "2025-09-01 10:00:00"
    rows = list(chunks)
    if first_id > 1:
        rows.reverse()
    return "\n".join(
        [
            "--\n-- PostgreSQL database dump\n--\n",
            "SET client_encoding = 'UTF8';",
            block(
                "chunk (id, confluence_url, text, embedding, created_at, updated_at)",
                [
                    (first_id + n, url_of(page), words, None, when, when)
                    for n, (page, words) in enumerate(rows)
                ],
            ),
            block(
                "question_answer (id, question, answer, confluence_url, score, user_id, "
                "created_at, stop_point)",
                [
                    (n + 1, question, answer, page and url_of(page), score, 7, when, "f")
                    for n, (question, answer, page, score) in enumerate(TRAFFIC)
                ],
            ),
            "--\n-- PostgreSQL database dump complete\n--\n",
        ]
    )


def write_data(folder: Path) -> Path:
    """Write the world as a data folder: a dump, gold questions, labelled pairs."""
    for name in ("dumps", "gold", "show_hide"):
        (folder / name).mkdir(parents=True)
    (folder / "dumps" / "world.dump").write_text(plain_dump(), encoding="utf-8")
    gold = [
        {
            "id": f"вопрос-{number:02}",
            "question": question,
            "reference_answer": reference,
            "relevant": [{"page": CHUNKS[n][0], "text_contains": CHUNKS[n][1].split("\n")[0]}],
        }
        for number, (question, reference, n) in enumerate(GOLD)
    ]
    pairs = [
        {
            "id": f"pair-{number}",
            "question": question,
            "answer": answer,
            "context": CHUNKS[n][1],
            "ground_truth_show": show,
        }
        for number, (question, answer, n, show) in enumerate(PAIRS)
    ]
    for path, items in (("gold/gold.jsonl", gold), ("show_hide/pairs.jsonl", pairs)):
        lines = [json.dumps(item, ensure_ascii=False) for item in items]
        (folder / path).write_text("\n".join(lines), encoding="utf-8")
    return folder

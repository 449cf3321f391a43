"""Fluent sentences with invented facts: what a hallucinating model says, in Russian and English."""

from __future__ import annotations

from rag_bench.simulator.text import chance, is_russian, numbers, pick

_RU_TEMPLATES = (
    "Для этого нужно подать заявление в {office}, кабинет {room}, не позднее {day} {month}.",
    "По действующим правилам срок составляет {count} рабочих дней, контроль ведёт {office}.",
    "Это зафиксировано в приказе № {room} от {day} {month} {year} года.",
    "Всего насчитывается около {big} случаев, то есть примерно {share} % от общего числа.",
    "Решение принимает {office}; приём ведут по {weekday} с {hour}:00, кабинет {room}.",
    "Впервые об этом стало известно {day} {month} {year} года, участвовало {big} человек.",
    "Стоимость составляет {big} рублей, льготникам возвращают {share} %.",
    "Достаточно позвонить по внутреннему номеру {room}-{count}, там ответит {office}.",
    "Решающим стало голосование {year} года: предложение поддержали {share} % участников.",
    "Такое разрешают только после {count} недель ожидания и справки из {room}-го кабинета.",
)
_EN_TEMPLATES = (
    "You need to apply to {office}, room {room}, no later than {day} {month}.",
    "Under the current rules it takes {count} working days and is supervised by {office}.",
    "This was laid down in order No. {room} of {day} {month} {year}.",
    "There are about {big} such cases in total, roughly {share} percent of the whole.",
    "The decision is taken by {office}, which is open on {weekday} from {hour}:00, room {room}.",
    "It first became known on {day} {month} {year}, with {big} people taking part.",
    "The fee is {big} and {share} percent of it is returned to those entitled.",
    "Simply call extension {room}-{count}, where {office} will answer.",
    "The vote of {year} was decisive: {share} percent of those present were in favour.",
    "It is allowed only after {count} weeks of waiting and a certificate from room {room}.",
)
_RU = {
    "office": (
        "сектор сверки обращений",
        "комиссия по внутренним допускам",
        "группа учёта льгот",
        "бюро пропускного режима",
        "отдел перспективного набора",
        "дежурный методист корпуса",
    ),
    "month": "января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
    "weekday": "понедельникам вторникам средам четвергам пятницам",
}
_EN = {
    "office": (
        "the Enquiry Reconciliation Desk",
        "the Internal Clearance Board",
        "the Benefits Records Unit",
        "the Access Control Bureau",
        "the Prospective Intake Office",
        "the duty coordinator",
    ),
    "month": "January February March April May June July August September October November "
    "December",
    "weekday": "Mondays Tuesdays Wednesdays Thursdays Fridays",
}


def invent(question: str, context: str, *seed: object) -> str:
    """Return one sentence in the question's language none of whose numbers is in the context."""
    known = numbers(context) | numbers(question)
    for attempt in range(20):
        sentence = _compose(is_russian(question), *seed, question, attempt)
        if not numbers(sentence) & known:
            break
    return sentence


def _compose(russian: bool, *seed: object) -> str:
    templates, lists = (_RU_TEMPLATES, _RU) if russian else (_EN_TEMPLATES, _EN)

    def number(name: str, low: int, high: int) -> int:
        return low + int(chance(name, *seed) * (high - low + 1))

    def word(name: str) -> str:
        options = lists[name]
        return pick(options.split() if isinstance(options, str) else options, name, *seed)

    return pick(templates, "template", *seed).format(
        **{name: word(name) for name in lists},
        room=number("room", 1101, 9899),
        day=number("day", 1, 28),
        year=number("year", 1907, 2019),
        # Ending in 5 to 9, so that the Russian noun after them is in the genitive plural.
        count=10 * number("tens", 2, 9) + number("count", 5, 9),
        big=10 * number("hundreds", 120, 9874) + number("big", 5, 9),
        share=number("share", 11, 89),
        hour=number("hour", 8, 17),
    )

"""A made-up knowledge base whose every answer is known, and clients of the simulator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from rag_bench.simulator.answer_key import AnswerKey, KeyEntry
from rag_bench.simulator.app import Simulator

_RU_PLACES = ("студсовете", "деканате", "общежитии", "читальном зале", "спортклубе")
_EN_PLACES = ("dormitory", "library", "gym", "dean's office", "student union")


def made_entry(number: int) -> KeyEntry:
    """A question, its reference and its chunk; odd ones are English, each chunk is its own."""
    code, room, day = 100 + number, 2000 + 3 * number, number % 27 + 1
    if number % 2:
        place = _EN_PLACES[number % 5]
        return KeyEntry(
            f"Where can I collect form F-{code} in the {place}?",
            f"Form F-{code} is handed out at desk {room} of the {place} after a short interview.",
            (
                f"Forms of the {place}\n"
                f"Form F-{code} is handed out at desk {room} of the {place} after a short "
                f"interview. Bring your student card and a photograph. Visitors wait in the hall "
                f"near the stairs. Cloakroom tokens are returned on leaving. The day off is "
                f"number {day} of every month.",
            ),
        )
    place = _RU_PLACES[number % 5]
    return KeyEntry(
        f"Где в {place} забрать справку С-{code}?",
        f"Справку С-{code} выдают у окна {room} в {place} после короткой беседы с дежурным.",
        (
            f"Справки в {place}\n"
            f"Справку С-{code} выдают у окна {room} в {place} после короткой беседы с дежурным. "
            f"Возьмите студенческий билет и фотографию. Посетители ждут в холле возле лестницы. "
            f"Жетоны гардероба возвращают при выходе. Выходной день — {day} число.",
        ),
    )


@pytest.fixture(scope="session")
def entries() -> list[KeyEntry]:
    return [made_entry(number) for number in range(2000)]


@pytest.fixture(scope="session")
def key(entries: list[KeyEntry]) -> AnswerKey:
    return AnswerKey(entries)


@dataclass(frozen=True)
class Reply:
    text: str
    finish_reason: str | None = "stop"
    latency_ms: float | None = 0.0


class InProcess:
    """Chat with the simulator without HTTP: thousands of calls in seconds.

    That HTTP changes nothing is tested apart, through the openai SDK.
    """

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.replicate = 0

    async def chat(
        self,
        model_key: str,
        role: object,
        messages: list[dict[str, str]],
        *,
        response_format: Mapping[str, Any] | None = None,
        temperature: float = 0.0,
        max_tokens: int = 512,
    ) -> Reply:
        body = {"messages": messages, "response_format": response_format}
        name = model_key.removeprefix("simulator/")
        return Reply(await self.simulator.reply(name, body, self.replicate))


@pytest.fixture
def in_process() -> type[InProcess]:
    return InProcess


@pytest.fixture
def chat(key: AnswerKey) -> InProcess:
    return InProcess(Simulator(key))

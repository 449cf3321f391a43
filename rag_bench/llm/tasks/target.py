"""Asking a live assistant a question, as a user would."""

from __future__ import annotations

from typing import Any, Protocol

from rag_bench.llm.config.providers import Provider, Role
from rag_bench.llm.reading.target_reply import TargetReply, target_reply
from rag_bench.llm.transport.call import Answer
from rag_bench.llm.wires.target import TargetWire
from rag_bench.llm.wires.wire import Wire


class Asks(Protocol):
    """Whatever can ask an endpoint: in the program, `ChatModels`."""

    async def ask(
        self, provider: Provider, wire: Wire, role: Role | str, body: dict[str, Any]
    ) -> Answer: ...


async def ask_target(
    client: Asks,
    provider: Provider,
    question: str,
    knowledge: str,
    role: Role | str = Role.generation,
) -> TargetReply:
    """Ask an assistant, through the ledger.

    Args:
        client: sends, or reads the ledger alone.
        provider: of a target.
        question: as a user would write it.
        knowledge: which texts it is taken to answer from; under other ones it is asked anew.
        role: written into the ledger.

    Raises:
        CaseError: TIMEOUT, or LLM_FAILED with the cause. Never holds a secret.
        ConfigurationError: the provider is no assistant.
        LedgerError: the ledger cannot be used.
    """
    target = provider.require_target()
    body = target.request(question, knowledge)
    answer = await client.ask(provider, TargetWire(target), role, body)
    return target_reply(
        target, answer.content, answer.latency_ms, from_ledger=answer.hit, key=answer.key
    )

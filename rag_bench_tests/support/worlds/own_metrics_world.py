"""Two models' answers, measured by functions of a user's own."""

from __future__ import annotations

from world_data import GOLD

from rag_bench.partitions import ModelLists

GENERATORS = ("simulator/extractive", "simulator/sim-strong")


MODELS = ModelLists(GENERATORS, ("simulator/sim-judge-strict",), ("simulator/sim-gate-strict",))


N = len(GOLD)


FUNCTIONS = '''
import asyncio

calls = []

def seen(question, answer, reference_answer, contexts, language):
    """What a metric is given."""
    calls.append((question, answer, reference_answer, tuple(contexts), language))
    contexts.clear()
    return len(question)

async def late(answer):
    await asyncio.sleep(0)
    return {"words": len(answer.split()), "never": None}

def picky(question):
    if "стипендия" in question:
        raise ValueError(f"не знаю,\\n что сказать о {question[:5]}")
    if "25" in question:
        return float("nan")
    if "справку" in question:
        return "0.5"
    if "гостям" in question:
        return None
    return 1

def leaves(question):
    raise SystemExit("bye")

async def hangs(question):
    await asyncio.Event().wait()

def gives_up(question):
    raise TimeoutError("my own")
'''

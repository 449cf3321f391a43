"""What a sweep will ask, before anything is sent: calls, tokens, money, time.

The tiers' own jobs are run against a client that only reads the ledger, so a plan cannot differ
from the sweep in what it asks. A request that the ledger answers goes on with the reply: answers
that are there make their judges' requests known. Behind a reply that is not there yet, requests are
counted with a stand-in text and are called unknown: two answers may turn out alike and share their
calls, or not come at all, so their number is the most that it can be. Only a judge's replies that
cannot be read add to it: it is asked once more about each (`rag_bench.llm.tasks.asking`).

Estimates, each named as one: a prompt's tokens are its characters by
`rag_bench.llm.transport.ledger.CHARS_PER_TOKEN`; a completion's are the mean in the ledger, of this
role and model, else of this role, else the longest that is allowed; a call's time is the median
latency in the ledger, of this role and model, else of this model, else of its provider. Where there
is none, time is unknown. So is the cost of a model without a price.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

from rag_bench.errors import CaseError, ErrorCode, RagBenchError
from rag_bench.llm.config.providers import Providers, Role
from rag_bench.llm.config.requests import chat_body, limit_in
from rag_bench.llm.config.room import limits_of_roles, longest_reply
from rag_bench.llm.reading.replies import is_unreadable
from rag_bench.llm.tasks.asking import asks_again
from rag_bench.llm.tasks.pipeline import Answer
from rag_bench.llm.transport.client import ChatReply, read_chat_reply
from rag_bench.llm.transport.context import CallContext, call_context, current_context
from rag_bench.llm.transport.ledger import CHARS_PER_TOKEN, find_stored, keys_of
from rag_bench.store import calls
from rag_bench.store.datasets import DatasetInfo
from rag_bench.store.evaluations import Case
from rag_bench.tiers.answers import answers, scores
from rag_bench.tiers.base.bench import Bench
from rag_bench.tiers.base.evaluate import Task
from rag_bench.tiers.base.models import Models
from rag_bench.tiers.base.run_settings import Tier
from rag_bench.tiers.judges import benchmark_judge, production_judge

if TYPE_CHECKING:
    from rag_bench.llm.transport.client import ChatModels

#: Characters of the answer that stands in for one that is not there yet: a usual length.
STAND_IN = "Ответ ещё не получен. " * 14
#: Faithfulness 2, answer relevancy 3, answer correctness 3 (ragas 0.4.3, counted).
RAGAS_CALLS_PER_ANSWER = 8
_AT_ONCE = 512  # jobs; their lookups in the ledger become a few statements


@dataclass(frozen=True)
class PlanLine:
    """One asset's calls to one model.

    Attributes:
        n_requests: how often the model is asked for something.
        n_in_ledger: distinct requests that the ledger answers.
        n_to_send: distinct requests that will be sent.
        n_unknown: requests unknown until others are answered: at most so many are sent, too.
        prompt_tokens: of what will be sent, unknown ones included; an estimate.
        completion_tokens: likewise.
        cost_usd: likewise; None: the model's price is unknown.
        seconds: of this asset's calls at the provider's calls in flight; None: no latency known.
    """

    asset: str
    role: str
    model: str
    n_requests: int
    n_in_ledger: int
    n_to_send: int
    n_unknown: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: Decimal | None
    seconds: float | None

    def to_json(self) -> dict[str, Any]:
        """Return the line with plain numbers."""
        cost = None if self.cost_usd is None else float(self.cost_usd)
        return {**asdict(self), "cost_usd": cost}


@dataclass(frozen=True)
class Plan:
    """All lines, in the order of the sweep, and remarks on what could not be known."""

    lines: Sequence[PlanLine]
    notes: Sequence[str] = ()
    providers: Mapping[str, str] = field(default_factory=dict)  # of the lines' models
    complete: bool = True  # False: more is asked than the lines say, so sums are unknown

    @property
    def n_to_send(self) -> int:
        """Calls that will be made, those unknown as yet left out."""
        return sum(line.n_to_send for line in self.lines)

    @property
    def n_unknown(self) -> int:
        """Calls that may be made on top."""
        return sum(line.n_unknown for line in self.lines)

    @property
    def cost_usd(self) -> Decimal | None:
        """What it may cost in all; None: a price is unknown."""
        if not self.complete:
            return None
        costs = [line.cost_usd for line in self.lines if line.n_to_send or line.n_unknown]
        return None if None in costs else sum((c for c in costs if c is not None), Decimal(0))

    @property
    def seconds(self) -> float | None:
        """Time of all calls: assets one after another, an asset's providers side by side."""
        if not self.complete:
            return None
        by_asset: dict[str, dict[str, float]] = {}
        for line in self.lines:
            if not line.n_to_send and not line.n_unknown:
                continue
            if line.seconds is None:
                return None
            own = by_asset.setdefault(line.asset, {})
            provider = self.providers[line.model]
            own[provider] = own.get(provider, 0.0) + line.seconds
        return sum(max(own.values()) for own in by_asset.values())

    def to_json(self) -> dict[str, Any]:
        """Return the plan for metadata and `--json`."""
        cost = self.cost_usd
        return {
            "lines": [line.to_json() for line in self.lines],
            "n_to_send": self.n_to_send,
            "n_unknown": self.n_unknown,
            "cost_usd": None if cost is None else float(cost),
            "seconds": self.seconds,
            "notes": list(self.notes),
        }


class NotSentError(CaseError):
    """The ledger has no reply, and a plan sends nothing."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.LLM_FAILED, "not in the ledger yet", retryable=True)


@dataclass
class _Tally:
    """The requests of one asset to one model; keys make them distinct."""

    n_requests: int = 0
    n_unknown: int = 0
    in_ledger: set[str] = field(default_factory=set)
    to_send: set[str] = field(default_factory=set)
    prompt_chars: int = 0
    longest: int = 0  # tokens of completion, at most, summed


class _LedgerOnly:
    """What the jobs take for `ChatModels`: replies come from the ledger, or not at all."""

    def __init__(
        self,
        providers: Providers,
        store: calls.CallStore,
        of_roles: Mapping[str, int],
        reask: str,
    ) -> None:
        self._reask = reask
        self._providers = providers
        self._of_roles = of_roles
        self._store = store
        self._seen: set[str] = set()
        self.tallies: dict[tuple[str, str, str], _Tally] = {}
        self.asset = ""
        self.known = True

    async def chat(
        self,
        model_key: str,
        role: Role | str,
        messages: Sequence[Mapping[str, Any]],
        *,
        response_format: Mapping[str, Any] | None = None,
        temperature: float = 0.0,
        max_tokens: int | None = None,
    ) -> ChatReply:
        provider, model = self._providers.split(model_key)
        limit = longest_reply(provider, model, role, max_tokens, self._of_roles)
        body = chat_body(provider, model, messages, response_format, temperature, limit)
        longest = limit_in(body) or limit
        tally = self.tallies.setdefault((self.asset, str(role), model_key), _Tally())
        tally.n_requests += 1
        if not self.known:
            tally.n_unknown += 1
            self._count(tally, body, longest)
            raise NotSentError
        context = current_context()
        keys, _ = keys_of(provider, body, context)
        stored = await find_stored(self._store, keys)
        key = keys[0]
        retry = context is not None and context.retry_failed
        if stored is None or (retry and stored.error_code is not None):
            if key not in self._seen:
                self._seen.add(key)
                tally.to_send.add(key)
                self._count(tally, body, longest)
            raise NotSentError
        if key not in self._seen:
            self._seen.add(key)
            tally.in_ledger.add(key)
        if stored.error_code is not None and is_unreadable(stored.response_json):
            raise CaseError(ErrorCode(stored.error_code), stored.error_detail or "unusable")
        return read_chat_reply(
            model_key,
            stored.response_json,
            latency_ms=stored.latency_ms,
            from_ledger=True,
            key=stored.key,
        )

    def _count(self, tally: _Tally, body: Mapping[str, Any], longest: int) -> None:
        tally.prompt_chars += sum(len(str(m.get("content", ""))) for m in body["messages"])
        tally.prompt_chars += len(str(body.get("response_format", "")))
        tally.longest += longest

    @asynccontextmanager
    async def case(
        self,
        role: Role | str,
        case_id: str,
        metric: str = "",
        repeat: int = 0,
        retry_failed: bool = False,
        run_id: str | None = None,
    ) -> AsyncIterator[CallContext]:
        """Number the case's requests as the client does, and mark nothing."""
        again = asks_again(self._reask, role)
        with call_context(
            str(role), case_id, metric, repeat, retry_failed, run_id, again
        ) as context:
            yield context


async def plan_sweep(
    bench: Bench,
    providers: Providers,
    default_slots: int,
    generation_models: Sequence[str],
    benchmark_judges: Sequence[str],
    production_judges: Sequence[str],
    tiers: Iterable[str],
    pairs: DatasetInfo | None = None,
    *,
    ragas: bool = False,
) -> Plan:
    """Plan the paid part of a sweep; nothing is sent, nothing is stored.

    Args:
        bench: the run's settings.
        providers: for addresses, prices and limits.
        default_slots: calls in flight of a provider that sets none.
        generation_models: as of the sweep, like the judges.
        benchmark_judges: for tiers 2, 3 and judge.
        production_judges: for tier judge_pipeline.
        tiers: those of the sweep; free ones are passed over.
        pairs: the labelled pairs of tiers judge and judge_pipeline.
        ragas: RAGAS is asked for; its calls are not in the lines, a note says how many.
    """
    tiers = set(tiers)
    notes: list[str] = []
    url = bench.engine.url.render_as_string(hide_password=False)
    async with calls.CallStore(url) as store:
        chat = _LedgerOnly(
            providers, store, limits_of_roles(bench.settings), bench.settings.reask_unreadable
        )
        models = Models(cast("ChatModels", chat), providers, default_slots)
        paid: tuple[Tier, ...] = ("2", "3")
        for tier in paid:
            if tier in tiers:
                await _tier(bench, models, chat, tier, generation_models, benchmark_judges, notes)
        if "judge" in tiers:
            chat.asset, chat.known = "benchmark_judge_quality", True
            if pairs is None:
                notes.append(
                    "judge asks more about labelled pairs once they are stored "
                    "(show_hide_dataset, free; a sweep does it itself)."
                )
            try:
                sample = benchmark_judge.sample_of(bench, pairs)
            except RagBenchError as error:
                notes.append(f"judge is unknown: {error}")
            else:
                for judge in benchmark_judges:
                    await _run(benchmark_judge.make_cell(bench, models, sample, judge, "").jobs)
        if "judge_pipeline" in tiers and pairs is None:
            notes.append(
                "judge_pipeline is unknown until labelled pairs are stored "
                "(show_hide_dataset, free; a sweep does it itself)."
            )
        elif "judge_pipeline" in tiers and pairs is not None:
            chat.asset, chat.known = "production_judge_scores", True
            for task in production_judge.production_judge_tasks(
                bench, models, production_judge.STEP, production_judges
            ):
                if isinstance(task, Task):
                    await _run(task.prepare().jobs)
    if ragas:
        notes.append(_ragas_note(bench, tiers, len(generation_models), len(benchmark_judges)))
    with bench.engine.connect() as connection:
        usage = calls.usage(connection)
    order = ["tier2_answers", "tier3_answers", "tier2_scores", "tier3_scores"]
    keys = sorted(chat.tallies, key=lambda k: order.index(k[0]) if k[0] in order else len(order))
    lines = [_line(key, chat.tallies[key], models, usage) for key in keys]
    by_model = {line.model: models.provider_of(line.model) for line in lines}
    judged = any(
        line.role == Role.benchmark_judge and line.n_to_send + line.n_unknown for line in lines
    )
    if judged and asks_again(bench.settings.reask_unreadable, Role.benchmark_judge):
        notes.append(
            "A judge whose reply cannot be read is asked once more; such calls come on top "
            "(RAG_BENCH_REASK_UNREADABLE=none: not)."
        )
    return Plan(lines, tuple(notes), by_model, complete=not ragas)


def _ragas_note(bench: Bench, tiers: set[str], n_generators: int, n_judges: int) -> str:
    """Say how many calls RAGAS makes: it writes its prompts itself, one after another."""
    n_items = sum(not item.out_of_scope for item in bench.items)
    n_tiers = len(tiers & {"2", "3"})
    n = n_items * n_tiers * n_generators * n_judges * RAGAS_CALLS_PER_ANSWER
    if "3" in tiers:
        # Precision judges each fragment by itself; recall asks once.
        n += n_items * n_judges * (bench.run.contexts_per_answer + 1)
    return (
        f"RAGAS asks its judges about {n:,} times on top, with long prompts; so cost and time of "
        "all are unknown."
    )


async def _tier(
    bench: Bench,
    models: Models,
    chat: _LedgerOnly,
    tier: Tier,
    generation_models: Sequence[str],
    benchmark_judges: Sequence[str],
    notes: list[str],
) -> None:
    try:
        contexts, source = answers.contexts_of(bench, tier)
        retrieved = True
    except RagBenchError:
        first = "its chunks are retrieved (tier 1, free)"
        if bench.run.cached_answers:
            first += " and users' questions encoded (question_embeddings, free)"
        notes.append(f"tier {tier} is unknown until {first}.")
        some = bench.chunks[: bench.run.contexts_per_answer]
        fragments = tuple(answers.fragment_of(bench, chunk.chunk_hash) for chunk in some)
        contexts = {item.item_id: answers.Context(fragments) for item in bench.items}
        source, retrieved = {}, False
    for generator in generation_models:
        chat.asset, chat.known = f"tier{tier}_answers", retrieved
        cell = answers.make_cell(bench, models, tier, generator, contexts, "", source)
        asked = answers.asked_of(bench, tier)
        results = answers.with_cached(asked, contexts, await _run(cell.jobs))
        known: dict[str, Case] = {}
        unknown: dict[str, Case] = {}
        for (item, repeat), result in zip(asked, results, strict=True):
            if repeat:
                continue  # repeat 0 is judged
            rows = [{"chunk_hash": f.chunk_hash} for f in contexts[item.item_id].fragments]
            if isinstance(result, Answer):
                known[item.item_id] = Case(item.item_id, answer=result.text, retrieved=rows)
            elif isinstance(result, NotSentError):
                unknown[item.item_id] = Case(item.item_id, answer=STAND_IN, retrieved=rows)
        chat.asset = f"tier{tier}_scores"
        for judge in benchmark_judges:
            for chat.known, given in ((True, known), (False, unknown)):
                if given:
                    judged = scores.make_cell(bench, models, tier, (generator, judge), given, 0, "")
                    await _run(judged.jobs)


async def _run(jobs: Sequence[Callable[[], Awaitable[Any]]]) -> list[Any]:
    """Return each job's value, or the case error that it ended with."""

    async def one(job: Callable[[], Awaitable[Any]]) -> Any:
        try:
            return await job()
        except CaseError as error:
            return error

    results: list[Any] = []
    for start in range(0, len(jobs), _AT_ONCE):
        results += await asyncio.gather(*(one(job) for job in jobs[start : start + _AT_ONCE]))
    return results


def _line(
    key: tuple[str, str, str], tally: _Tally, models: Models, usage: Sequence[calls.Usage]
) -> PlanLine:
    asset, role, model = key
    provider, name = models.providers.split(model)
    n = len(tally.to_send) + tally.n_unknown
    prompt_tokens = round(tally.prompt_chars / CHARS_PER_TOKEN)
    of_provider = [u for u in usage if u.provider == provider.name and u.n_ok]
    of_model = [u for u in of_provider if u.model == name]
    same = [u for u in of_model if u.role == role]
    completion_tokens = tally.longest
    for known in (same, [u for u in usage if u.role == role and u.n_ok]):
        spent, replies = (
            sum(u.completion_tokens for u in known),
            sum(u.n_ok + u.n_discarded for u in known),
        )
        if spent and replies:
            completion_tokens = round(n * spent / replies)
            break
    latency = next((_latency(u) for u in (same, of_model, of_provider) if u), None)
    seconds = None if latency is None else n * latency / models.slots(provider.name)
    if seconds is not None and provider.rpm:
        seconds = max(seconds, n * 60 / provider.rpm)
    return PlanLine(
        asset,
        role,
        model,
        tally.n_requests,
        len(tally.in_ledger),
        len(tally.to_send),
        tally.n_unknown,
        prompt_tokens,
        completion_tokens,
        models.providers.cost_usd(model, prompt_tokens, completion_tokens),
        seconds if n else 0.0,
    )


def _latency(usage: Sequence[calls.Usage]) -> float | None:
    """Return the median latency in seconds: the mean of the groups' medians, by their calls."""
    timed = [(u.latency_ms_p50, u.n_ok) for u in usage if u.latency_ms_p50 is not None]
    if not timed:
        return None
    return sum(ms * n for ms, n in timed) / sum(n for _, n in timed) / 1000

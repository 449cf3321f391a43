"""What is written of a call into the ledger's table, and how large a call is guessed to be."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from rag_bench.errors import ErrorCode
from rag_bench.hashing import canonical_json
from rag_bench.llm.config.roles import Provider
from rag_bench.llm.reading import replies
from rag_bench.llm.transport.call import Call
from rag_bench.llm.transport.call_note import CallNumbers, CallSize
from rag_bench.llm.wires.wire import Wire
from rag_bench.store.calls import CallRow

CostOf = Callable[[str, int | None, int | None, int | None], Decimal | None]
"""Of a model's key, tokens of prompt and reply, and search units; None: unknown."""

#: Characters per token where nothing better is known. Today's tokenizers take 4 to 5 letters of
#: English and 2.5 to 3.5 of Russian; the benchmark's prompts are mostly Russian with some markup.
CHARS_PER_TOKEN = 3.0
_USUAL_COMPLETION = 128.0  # tokens, before the first reply


class Records:
    """Makes the rows of one provider's calls, and guesses their sizes from those before."""

    def __init__(self, provider: Provider, wire: Wire, cost_of: CostOf | None = None) -> None:
        self._provider = provider
        self._wire = wire
        self._cost_of = cost_of
        self._completion_tokens = 0.0  # the mean so far
        self._n_completions = 0

    def size_of(self, call: Call) -> CallSize:
        """Return a call's tokens, guessed, and the most that it can cost."""
        model_key = self._wire.model_key(call.body)
        taken = self._wire.most(call.body, call.content)
        usual = self._completion_tokens if self._n_completions else _USUAL_COMPLETION
        most = None
        if self._cost_of is not None:
            most = self._cost_of(
                model_key, taken.prompt_tokens, taken.completion_tokens, taken.search_units
            )
        tokens = len(call.content.decode(errors="replace")) / CHARS_PER_TOKEN
        return CallSize(model_key, tokens + min(usual, taken.completion_tokens), most)

    def learn(self, completion_tokens: int | None) -> None:
        """Take a reply's length into the guesses of the next ones."""
        if completion_tokens is not None:
            self._n_completions += 1
            step = (completion_tokens - self._completion_tokens) / self._n_completions
            self._completion_tokens += step

    def row(
        self,
        call: Call,
        numbers: CallNumbers,
        reply: replies.ReadReply | None,
        detail: str | None,
        *,
        status: str = "error",
        error_code: ErrorCode = ErrorCode.LLM_FAILED,
        http_status: int | None = None,
    ) -> CallRow:
        """Return a call's row; ``detail`` says why the reply is of no use, if it is not."""
        prompt_tokens = reply.prompt_tokens if reply else None
        completion_tokens = reply.completion_tokens if reply else None
        cost = None
        if self._cost_of is not None and status == "ok":
            key = self._wire.model_key(call.body)
            units = reply.search_units if reply else None
            cost = self._cost_of(key, prompt_tokens, completion_tokens, units)
        return CallRow(
            key=call.key,
            role=replies.clean_text(call.role),
            provider=self._provider.recorded_name,
            base_url=self._provider.require_base_url(),
            model=replies.clean_text(call.model),
            replicate=call.replicate,
            request_json=canonical_json(replies.clean_value(call.body)),
            response_json=reply.json if reply else None,
            status=status,
            error_code=error_code if detail else None,
            error_detail=replies.clean_text(detail) if detail else None,
            http_status=http_status,
            finish_reason=reply.finish_reason if reply else None,
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
            cost_usd=cost,
            latency_ms=numbers.latency_ms,
            wait_ms=numbers.wait_ms,
            retries=numbers.retries,
            dagster_run_id=call.run_id,
            served_model=reply.served.model if reply else None,
            system_fingerprint=reply.served.fingerprint if reply else None,
        )

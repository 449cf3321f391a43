"""RAGAS' collections metrics, with their verdicts counted before a ratio is taken.

Each class is ragas' own; overridden is only what 0.4.3 gets wrong: ratios over whatever came
back, 1.0 for no statements, NaN, and values past the scale. Values are in [0, 1].
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ragas.metrics.collections import (
    AnswerCorrectness,
    AnswerRelevancy,
    ContextPrecision,
    ContextRecall,
    Faithfulness,
    SemanticSimilarity,
)
from ragas.metrics.collections.faithfulness.util import (
    NLIStatementOutput,
    StatementFaithfulnessAnswer,
)
from ragas.metrics.result import MetricResult

from rag_bench.errors import CaseError, ErrorCode
from rag_bench.evaluation.precision import settled
from rag_bench.evaluation.text.sentences import sentences
from rag_bench.llm.ragas import prompts
from rag_bench.llm.ragas.expected import STRICTNESS
from rag_bench.llm.ragas.library import (
    Attributions,
    BenchEmbeddings,
    Chat,
    FilePrompt,
    LedgerLLM,
    NumberedSentence,
    SentencesAsked,
    SortedNumbers,
    SortingAsked,
    StatementsAsked,
    StatementVerdicts,
    VectorsOf,
    numbered,
)
from rag_bench.llm.ragas.reconcile import require_sorted, require_statements, require_verdicts

_ROUNDING = 1e-6


Scored = tuple[float, dict[str, Any]]
"""A value as it came out, and what it was counted from."""


class UndefinedError(Exception):
    """The measure does not exist for this case (0/0): it is neither scored nor missing."""


@dataclass(frozen=True)
class Sample:
    """One case: what the metrics may read. ``refused``: the answer is the agreed refusal."""

    question: str
    answer: str = ""
    contexts: Sequence[str] = ()
    reference: str = ""
    refused: bool = False


@dataclass(frozen=True)
class RagasScore:
    """A value in [0, 1], None where the measure is undefined, and what it was counted from;
    ``flags`` are remarks on the replies that it was read from.
    """

    value: float | None
    evidence: dict[str, Any] = field(default_factory=dict)
    flags: tuple[str, ...] = ()


class CountedFaithfulness(Faithfulness):
    """Supported statements / statements of the answer."""

    refused = False
    evidence: dict[str, Any]

    async def _create_statements(self, question: str, response: str) -> list[str]:
        statements = await super()._create_statements(question, response)
        if not statements and self.refused:
            raise UndefinedError("a refusal states nothing")
        require_statements(statements, "the answer")
        return statements

    async def _create_verdicts(self, statements: list[str], context: str) -> NLIStatementOutput:
        asked = StatementsAsked(context=context, statements=numbered(statements))
        reply: Any = await self.llm.agenerate(
            self.nli_statement_prompt.to_string(asked),  # type: ignore[arg-type]
            StatementVerdicts,
        )
        numbers = [each.number for each in asked.statements]
        require_verdicts(numbers, [each.number for each in reply.verdicts], "statements")
        by_number = {each.number: each for each in reply.verdicts}
        judged = [
            StatementFaithfulnessAnswer(
                statement=each.statement,
                reason=by_number[each.number].reason,
                verdict=by_number[each.number].verdict,
            )
            for each in asked.statements
        ]
        self.evidence = {
            "n_statements": len(statements),
            "unsupported": [each.statement for each in judged if not each.verdict],
        }
        return NLIStatementOutput(statements=judged)


class CountedContextPrecision(ContextPrecision):
    """Average precision of the contexts' verdicts, in exact arithmetic; 0 if none is of use."""

    evidence: dict[str, Any]

    def _calculate_average_precision(self, verdicts: list[int]) -> float:
        self.evidence = {"useful": list(verdicts)}
        useful, total = 0, 0.0
        for rank, verdict in enumerate(verdicts, start=1):
            if verdict:
                useful += 1
                total += useful / rank
        return total / useful if useful else 0.0


class CountedContextRecall(ContextRecall):
    """Attributed sentences / sentences of the reference, split and numbered by us."""

    evidence: dict[str, Any]

    async def ascore(  # type: ignore[override]
        self, user_input: str, retrieved_contexts: list[str], reference: str
    ) -> MetricResult:
        parts = sentences(reference) or [reference.strip()]
        asked = SentencesAsked(
            question=user_input,
            context="\n".join(retrieved_contexts),
            sentences=[NumberedSentence(number=n, sentence=part) for n, part in _counted(parts)],
        )
        prompt = self.prompt.to_string(asked)  # type: ignore[arg-type]
        reply: Any = await self.llm.agenerate(prompt, Attributions)
        found = {each.number: each.attributed for each in reply.verdicts}
        require_verdicts(
            range(1, len(parts) + 1), [each.number for each in reply.verdicts], "sentences"
        )
        self.evidence = {
            "n_statements": len(parts),
            "not_attributed": [part for n, part in _counted(parts) if not found[n]],
        }
        return MetricResult(sum(found.values()) / len(parts))


class CountedAnswerCorrectness(AnswerCorrectness):
    """0.75 · F1 of the statements (TP, FP, FN) + 0.25 · cosine of the texts."""

    refused = False
    evidence: dict[str, Any]

    async def ascore(  # type: ignore[override]
        self, user_input: str, response: str, reference: str
    ) -> MetricResult:
        mine = await self._generate_statements(user_input, response)
        if not self.refused:
            require_statements(mine, "the answer")
        true = await self._generate_statements(user_input, reference)
        if not mine and not true:
            raise UndefinedError("neither the answer nor the reference states anything")
        require_statements(true, "the reference")
        if mine:
            lists = await self._sorted(user_input, mine, true)
            tp, wrong = len(lists[0]), len(lists[1]) + len(lists[2])
            factuality = 2 * tp / (2 * tp + wrong)
        else:
            # A refusal claims nothing, so all of the reference is missing from it: F1 is 0.
            lists, factuality = [[], [], list(true)], 0.0
        similarity = _not_negative(await self._calculate_similarity(response, reference))
        self.evidence = {
            "tp": len(lists[0]),
            "fp": lists[1],
            "fn": lists[2],
            "n_reference_statements": len(true),
            "factuality": factuality,
        }
        weights = self.weights
        value = (weights[0] * factuality + weights[1] * similarity) / sum(weights)
        return MetricResult(value)

    async def _sorted(self, question: str, mine: list[str], true: list[str]) -> list[list[str]]:
        """Return the statements that are TP, FP and FN."""
        asked = SortingAsked(
            question=question,
            answer=numbered(mine),
            # Counted on, so that a number says of which list its statement is.
            ground_truth=numbered(true, len(mine) + 1),
        )
        reply: Any = await self.llm.agenerate(
            self.correctness_classifier_prompt.to_string(asked),  # type: ignore[arg-type]
            SortedNumbers,
        )
        lists = [[each.number for each in found] for found in (reply.TP, reply.FP, reply.FN)]
        require_sorted(
            [each.number for each in asked.answer],
            [each.number for each in asked.ground_truth],
            *lists,
        )
        texts = dict(_counted([*mine, *true]))
        return [[texts[number] for number in found] for found in lists]


def _counted(texts: Sequence[str]) -> Iterator[tuple[int, str]]:
    return enumerate(texts, start=1)


class RagasJudge:
    """One benchmark judge with one language of prompts: scores cases by metric name.

    Args:
        chat: the open client.
        model_key: the judge.
        language: of the prompts.
        embeddings: of the bench's encoder, shared by all judges of a step.
    """

    def __init__(
        self, chat: Chat, model_key: str, language: prompts.Language, embeddings: BenchEmbeddings
    ) -> None:
        self._chat, self._model_key = chat, model_key
        self._embeddings = embeddings
        self._prompts = {name: FilePrompt(language, name) for name in prompts.NAMES}

    async def score(self, metric: str, sample: Sample) -> RagasScore:
        """Score one case by one of `METRICS`.

        Calls are made one after another, so that an error is of the newest reply.

        Raises:
            CaseError: INVALID_INPUT where a text that the metric reads is blank; METRIC_ERROR
                where the verdicts do not fit the statements; else as of `ChatModels.chat`.
        """
        for name in INPUTS[metric]:
            value = getattr(sample, name)
            texts = [value] if isinstance(value, str) else list(value)
            if not texts or not all(text.strip() for text in texts):
                raise CaseError(ErrorCode.INVALID_INPUT, f"{metric} needs {name}, which is empty")
        try:
            value, evidence = await getattr(self, f"_{metric}")(
                sample, LedgerLLM(self._chat, self._model_key)
            )
        except UndefinedError as reason:
            return RagasScore(None, {"undefined": str(reason)})
        return RagasScore(within_unit(metric, value), evidence)

    async def _faithfulness(self, sample: Sample, llm: LedgerLLM) -> Scored:
        metric = CountedFaithfulness(llm)
        metric.refused = sample.refused
        metric.statement_generator_prompt = self._prompts["statements"]  # type: ignore[assignment]
        metric.nli_statement_prompt = self._prompts["faithfulness"]  # type: ignore[assignment]
        result = await metric.ascore(sample.question, sample.answer, list(sample.contexts))
        return result.value, metric.evidence

    async def _answer_relevancy(self, sample: Sample, llm: LedgerLLM) -> Scored:
        metric = AnswerRelevancy(llm, self._embeddings, strictness=STRICTNESS)
        metric.prompt = self._prompts["answer_relevancy"]  # type: ignore[assignment]
        result = await metric.ascore(sample.question, sample.answer)
        evidence = {
            "questions": [reply.question for reply in llm.replies],
            "noncommittal": [reply.noncommittal for reply in llm.replies],
        }
        return _not_negative(result.value), evidence

    async def _context_precision(self, sample: Sample, llm: LedgerLLM) -> Scored:
        metric = CountedContextPrecision(llm)
        metric.prompt = self._prompts["context_precision"]  # type: ignore[assignment]
        result = await metric.ascore(sample.question, sample.reference, list(sample.contexts))
        return result.value, metric.evidence

    async def _context_recall(self, sample: Sample, llm: LedgerLLM) -> Scored:
        metric = CountedContextRecall(llm)
        metric.prompt = self._prompts["context_recall"]  # type: ignore[assignment]
        result = await metric.ascore(sample.question, list(sample.contexts), sample.reference)
        return result.value, metric.evidence

    async def _answer_correctness(self, sample: Sample, llm: LedgerLLM) -> Scored:
        metric = CountedAnswerCorrectness(llm, self._embeddings)
        metric.refused = sample.refused
        metric.statement_generator_prompt = self._prompts["statements"]  # type: ignore[assignment]
        chosen = self._prompts["answer_correctness"]
        metric.correctness_classifier_prompt = chosen  # type: ignore[assignment]
        result = await metric.ascore(sample.question, sample.answer, sample.reference)
        return result.value, metric.evidence


#: What each metric reads of a `Sample`; an empty one is INVALID_INPUT.
INPUTS = {
    "faithfulness": ("question", "answer", "contexts"),
    "answer_relevancy": ("question", "answer"),
    "context_precision": ("question", "reference", "contexts"),
    "context_recall": ("question", "reference", "contexts"),
    "answer_correctness": ("question", "answer", "reference"),
}


def semantic_similarities(samples: Sequence[Sample], vectors_of: VectorsOf) -> list[RagasScore]:
    """Return the similarity of each answer with its reference; asks no judge.

    For use on a thread without an event loop: all texts are encoded together.
    """
    texts = sorted({text for sample in samples for text in (sample.answer, sample.reference)})
    if not texts:
        return []
    vectors = dict(zip(texts, vectors_of(texts), strict=True))
    ready = BenchEmbeddings(lambda asked: np.stack([vectors[text] for text in asked]))
    metric = SemanticSimilarity(ready)
    values = [metric.score(reference=s.reference, response=s.answer).value for s in samples]
    return [RagasScore(within_unit(metric.name, _not_negative(value))) for value in values]


def _not_negative(cosine: float) -> float:
    """Return a cosine on ragas' scale: below 0, texts are no less alike than unrelated ones."""
    return max(0.0, cosine)


def within_unit(metric: str, value: float) -> float:
    """Return a value to six decimals (1.0000000000000002 becomes 1).

    Raises:
        CaseError: METRIC_ERROR, it is outside [0, 1] by more than rounding, or no number.
    """
    if not math.isfinite(value):
        raise CaseError(ErrorCode.METRIC_ERROR, f"{metric} came out as {value}")
    if not -_ROUNDING <= value <= 1 + _ROUNDING:
        raise CaseError(ErrorCode.METRIC_ERROR, f"{metric} came out as {value}, outside 0 to 1")
    return settled(min(max(float(value), 0.0), 1.0))

"""ragas' base classes filled with ours: the model, the embeddings, the prompts.

Importing this module imports ragas (seconds), so it is done where a metric is computed only.
ragas asks a model through `LedgerLLM`, which is `ChatModels.chat`: ledger, limits, the provider's
way of taking a JSON schema, and the codes of failures are the same as of every other call. No
cache of ragas' own, whose key lacks the model, and no retries of instructor, which is not asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema
from ragas.embeddings.base import BaseRagasEmbedding
from ragas.llms.base import InstructorBaseRagasLLM
from ragas.metrics.collections.answer_correctness import util as correctness
from ragas.metrics.collections.answer_relevancy import util as relevancy
from ragas.metrics.collections.context_precision import util as precision
from ragas.metrics.collections.faithfulness import util as faithfulness
from ragas.prompt.metrics.base_prompt import BasePrompt

from rag_bench.llm.config.providers import Role
from rag_bench.llm.ragas import prompts
from rag_bench.llm.reading.structured import parse_structured, response_format_for
from rag_bench.llm.tasks.asking import ask_and_read
from rag_bench.llm.tasks.pipeline import Chat

if TYPE_CHECKING:
    import numpy as np


T = TypeVar("T", bound=BaseModel)
VectorsOf = Callable[[Sequence[str]], "np.ndarray"]

#: ragas' own 1,024 cuts verdicts on long answers.
MAX_TOKENS = 4096
#: ragas sends 0.01, at which the three questions of answer relevancy are one question thrice;
#: ragas before 0.4 took 0.3 wherever it wanted several draws.
SEVERAL_DRAWS = 0.3

# A verdict of 2 or -1 would pass ragas' models and enter the ratio.
Verdict = Annotated[
    int, Field(strict=True, ge=0, le=1), WithJsonSchema({"type": "integer", "enum": [0, 1]})
]
# The least length is checked here, as not every provider's strict mode knows minLength.
Said = Annotated[
    str,
    StringConstraints(min_length=1, strip_whitespace=True),
    WithJsonSchema({"type": "string"}),
]
_STRICT = ConfigDict(extra="forbid", strict=True)


class StatementList(faithfulness.StatementGeneratorOutput):
    """What a text claims, for faithfulness."""

    model_config = _STRICT
    statements: list[Said]


class CorrectnessStatementList(correctness.StatementGeneratorOutput):
    """What a text claims, for answer correctness; ragas has two classes of this."""

    model_config = _STRICT
    statements: list[Said]


class NumberedStatement(BaseModel):
    """A statement to be judged, by its number."""

    number: int
    statement: str


class NumberedSentence(BaseModel):
    """A sentence to be judged, by its number."""

    number: int
    sentence: str


class StatementsAsked(BaseModel):
    """What faithfulness asks about."""

    context: str
    statements: list[NumberedStatement]


class SentencesAsked(BaseModel):
    """What context recall asks about."""

    question: str
    context: str
    sentences: list[NumberedSentence]


class SortingAsked(BaseModel):
    """What answer correctness asks about; no number is in both lists."""

    question: str
    answer: list[NumberedStatement]
    ground_truth: list[NumberedStatement]


class StatementVerdict(BaseModel):
    """Whether the statement of a number follows from the context."""

    model_config = _STRICT
    number: int
    reason: str
    verdict: Verdict


class StatementVerdicts(BaseModel):
    """A verdict per number."""

    model_config = _STRICT
    verdicts: list[StatementVerdict]


class MadeQuestion(relevancy.AnswerRelevanceOutput):
    """A question that an answer answers."""

    model_config = _STRICT
    question: Said
    noncommittal: Verdict


class ContextVerdict(precision.ContextPrecisionOutput):
    """Whether one context was of use."""

    model_config = _STRICT
    verdict: Verdict


class Attribution(BaseModel):
    """Whether the sentence of a number can be derived from the contexts."""

    model_config = _STRICT
    number: int
    reason: str
    attributed: Verdict


class Attributions(BaseModel):
    """An attribution per number."""

    model_config = _STRICT
    verdicts: list[Attribution]


class SortedNumber(BaseModel):
    """The number of a statement in one of the three lists."""

    model_config = _STRICT
    number: int
    reason: str


class SortedNumbers(BaseModel):
    """Statements sorted into true positives, false positives, false negatives, by number."""

    model_config = _STRICT
    TP: list[SortedNumber]
    FP: list[SortedNumber]
    FN: list[SortedNumber]


#: Our strict shape of each reply, by the class that ragas or our own step asks for.
SHAPES: dict[type[BaseModel], tuple[str, type[BaseModel]]] = {
    faithfulness.StatementGeneratorOutput: ("ragas_statements", StatementList),
    correctness.StatementGeneratorOutput: ("ragas_statements", CorrectnessStatementList),
    StatementVerdicts: ("ragas_faithfulness", StatementVerdicts),
    relevancy.AnswerRelevanceOutput: ("ragas_answer_relevancy", MadeQuestion),
    precision.ContextPrecisionOutput: ("ragas_context_precision", ContextVerdict),
    Attributions: ("ragas_context_recall", Attributions),
    SortedNumbers: ("ragas_answer_correctness", SortedNumbers),
}

# Prompt name: the class of what is given, and the class of the reply.
_MODELS: dict[str, tuple[type[BaseModel], type[BaseModel]]] = {
    "statements": (faithfulness.StatementGeneratorInput, faithfulness.StatementGeneratorOutput),
    "faithfulness": (StatementsAsked, StatementVerdicts),
    "answer_relevancy": (relevancy.AnswerRelevanceInput, relevancy.AnswerRelevanceOutput),
    "context_precision": (precision.ContextPrecisionInput, precision.ContextPrecisionOutput),
    "context_recall": (SentencesAsked, Attributions),
    "answer_correctness": (SortingAsked, SortedNumbers),
}


def numbered(texts: Sequence[str], first: int = 1) -> list[NumberedStatement]:
    """Return statements with their numbers, counted from ``first``."""
    return [NumberedStatement(number=n, statement=t) for n, t in enumerate(texts, first)]


@cache
def _format_of(response_model: type[BaseModel]) -> dict[str, Any]:
    return response_format_for(*SHAPES[response_model])


class LedgerLLM(InstructorBaseRagasLLM):
    """A judge as ragas asks it: one request, one strict reply or an error with a code.

    One object serves one case; ``replies`` are what it was told, in order.
    """

    def __init__(self, chat: Chat, model_key: str) -> None:
        self.chat = chat
        self.model_key = model_key
        self.replies: list[Any] = []

    def generate(self, prompt: str, response_model: Any) -> Any:
        """Refuse: the client serves one event loop and is asked by `agenerate`."""
        raise TypeError("This model is asked on the event loop only: use ascore().")

    async def agenerate(self, prompt: str, response_model: Any) -> Any:
        """Ask once and read the reply as `SHAPES` says.

        Raises:
            CaseError: as of `ChatModels.chat`; METRIC_ERROR for a reply of another shape.
        """
        shape = SHAPES[response_model][1]
        several = response_model is relevancy.AnswerRelevanceOutput
        reply, _ = await ask_and_read(
            self.chat,
            self.model_key,
            Role.benchmark_judge,
            [{"role": "user", "content": prompt}],
            lambda text: parse_structured(text, shape),
            response_format=_format_of(response_model),
            temperature=SEVERAL_DRAWS if several else 0.0,
            max_tokens=MAX_TOKENS,
        )
        self.replies.append(reply)
        return self.replies[-1]


class BenchEmbeddings(BaseRagasEmbedding):
    """Embeddings of the bench's own encoder; never a provider's.

    ``vectors_of`` returns the vectors (n, d) of n texts and may take long: it runs on a thread,
    one call at a time, and texts that wait meanwhile are encoded together.
    """

    def __init__(self, vectors_of: VectorsOf) -> None:
        super().__init__(cache=None)
        self._vectors_of = vectors_of
        self._waiting: list[tuple[str, asyncio.Future[Any]]] = []
        self._worker: asyncio.Task[None] | None = None

    def embed_text(self, text: str, **kwargs: Any) -> list[float]:
        """Return a text's vector at once; for use outside of an event loop."""
        return [float(number) for number in self._vectors_of([text])[0]]

    async def aembed_text(self, text: str, **kwargs: Any) -> list[float]:
        """Return a text's vector, encoded with whatever else is waiting."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((text, future))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return [float(number) for number in await future]

    async def aembed_texts(self, texts: list[str], **kwargs: Any) -> list[list[float]]:
        """Return the vectors of several texts in their order."""
        return list(await asyncio.gather(*(self.aembed_text(text) for text in texts)))

    async def _work(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            texts = list(dict.fromkeys(text for text, _ in batch))
            try:
                vectors = await asyncio.to_thread(self._vectors_of, texts)
            except Exception as error:
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                continue
            by_text = dict(zip(texts, vectors, strict=True))
            for text, future in batch:
                if not future.done():
                    future.set_result(by_text[text])


class FilePrompt(BasePrompt[Any, Any]):
    """A prompt of ragas whose words are those of our file."""

    def __init__(self, language: prompts.Language, name: str) -> None:
        content = prompts.load(language, name)
        self.input_model, self.output_model = _MODELS[name]
        self.language = language
        self.instruction = content.instruction
        self.examples = [
            (self.input_model.model_validate(given), self.output_model.model_validate(reply))
            for given, reply in content.examples
        ]
        self._name = name

    def to_string(self, data: BaseModel) -> str:
        """Return the whole prompt about ``data``, which stands at its end as JSON."""
        given = data.model_dump_json(indent=2, exclude_none=True)
        return prompts.render(self.language, self._name, given)  # type: ignore[arg-type]

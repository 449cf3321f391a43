"""What a request for an evaluation may say: its fields, their types, their bounds.

Types are exact: ``"10"`` is no 10. Whatever depends on settings, on the database or on another
field is checked elsewhere in this package.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

#: As the first document of this service calls ``path_to_file``.
PATH_SPELLING = "path_to_file.jsonl"
#: Fields that say which cases are meant; a request has one of them.
SOURCES = ("cases", "path_to_file", "dataset")

EvalType = Literal["ragas", "rubric", "retrieval"]
#: In the order in which they are measured and stored.
EVAL_TYPES: tuple[EvalType, ...] = ("ragas", "rubric", "retrieval")

_Name = Annotated[str, Field(min_length=1, max_length=300)]
_Id = Annotated[int, Field(ge=-(2**63), lt=2**63)] | Annotated[str, Field(max_length=300)]
_Label = Annotated[str, Field(max_length=300)] | bool | int | float
_Text = Annotated[str, Field(max_length=100_000)]


class _Given(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, populate_by_name=True
    )


class Context(_Given):
    """A text that an answer was made from."""

    id: _Id | None = Field(default=None, description="The chunk's id, as the client knows it.")
    text: _Text


# Told apart before they are read, so that only what is wrong with one of the two is told.
_Context = Annotated[
    Annotated[_Text, Tag("text")] | Annotated[Context, Tag("object")],
    Discriminator(lambda given: "text" if isinstance(given, str) else "object"),
]


class EvalCase(_Given):
    """One question, what is known of its right answer, and perhaps the answer to judge."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "question": "Что входит в политику безопасности?",
                "ground_truth_answer": "Политика включает доступ, логирование и контроль.",
                "ground_truth_chunks": ["chunk_001", "chunk_007"],
                "lang": "ru",
            }
        }
    )

    id: _Id | None = Field(default=None, description="Unset: the number of the case, from 1.")
    question: str = Field(description="At most 500 characters, unless the settings say otherwise.")
    ground_truth_answer: str | None = Field(
        default=None,
        description="At most 1,000 tokens of the encoder, unless the settings say otherwise.",
    )
    ground_truth_chunks: Annotated[list[_Id], Field(max_length=1000)] | None = Field(
        default=None,
        description="Ids of the chunks that hold the answer, as the client knows them: those of "
        "the dump, content hashes, or aliases.",
    )
    lang: Literal["ru", "en"] | None = Field(
        default=None, description="Unset: by the question's letters."
    )
    answer: _Text | None = Field(
        default=None, description="The answer to judge: no model is asked for one."
    )
    contexts: Annotated[list[_Context], Field(max_length=200)] | None = Field(
        default=None, description="What that answer was made from: nothing is retrieved."
    )
    citations: Annotated[list[_Id], Field(max_length=200)] | None = Field(
        default=None,
        description="Ids of what that answer cites; unset: its marks [1], [2] are read.",
    )


class EvalRequest(_Given):
    """An evaluation that somebody asks for; of ``cases``, ``path_to_file``, ``dataset`` one."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "cases": [
                    {
                        "question": "Что входит в политику безопасности?",
                        "ground_truth_answer": "Политика включает доступ, логирование и контроль.",
                        "ground_truth_chunks": ["chunk_001", "chunk_007"],
                    }
                ],
                "llm_model": "simulator/sim-strong",
                "reranker": "hybrid_late",
                "eval_type": "ragas",
            }
        }
    )

    cases: Annotated[list[EvalCase], Field(min_length=1)] | None = None
    path_to_file: Annotated[str, Field(min_length=1, max_length=1000)] | None = Field(
        default=None,
        description="JSONL with a case a line, below the folder of RAG_BENCH_EVAL_FILES.",
    )
    dataset: _Name | None = Field(default=None, description="Name or id of a stored dataset.")

    llm_model: _Name | None = Field(
        default=None,
        description="Who answers: <provider>/<model>, or the model's bare name where its provider "
        "is clear.",
    )
    target: _Name | None = Field(
        default=None, description="Name of a configured live assistant, which answers instead."
    )
    judge_model: _Name | None = Field(
        default=None, description="Who judges; unset: the first configured benchmark judge."
    )
    reranker: _Name | None = Field(
        default=None, description="Name of a retriever, or of a reranker that a retriever has."
    )
    eval_type: EvalType | list[EvalType] = Field(
        default="ragas",
        description="What is measured, one or several; an empty list: only `metrics`, no judge.",
    )
    metrics: Annotated[list[_Name], Field(max_length=200)] | None = Field(
        default=None,
        description="Further ones: BLEU, ROUGE, chrF, BERTScore, those of docs/metrics.md, and "
        "those that the settings name.",
    )
    top_k: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        default=None, description="Chunks that are retrieved; unset: the retriever's or settings'."
    )
    contexts_per_answer: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        default=None, description="Chunks that the model is given; unset: the settings'."
    )
    baseline: _Name | None = Field(
        default=None,
        description="Id of the run that this one is compared with, or its beginning.",
    )
    callback_url: Annotated[str, Field(min_length=1, max_length=2000)] | None = Field(
        default=None, description="Is told how the run ended."
    )
    labels: (
        Annotated[
            dict[Annotated[str, Field(min_length=1, max_length=100)], _Label], Field(max_length=50)
        ]
        | None
    ) = Field(default=None, description="Texts, numbers and truths by name, to find the run by.")
    mode: Literal["sync", "async"] | None = Field(
        default=None, description="sync: wait for the result; async: do not. Unset: by its length."
    )
    max_calls: Annotated[int, Field(ge=0, lt=2**31)] | None = Field(
        default=None, description="Most requests to models."
    )
    max_cost_usd: Annotated[float, Field(ge=0, le=1e9)] | None = Field(
        default=None, description="Most that requests to models may cost."
    )

    @property
    def eval_types(self) -> tuple[EvalType, ...]:
        """What is measured, each once, in the order of `EVAL_TYPES`."""
        named = [self.eval_type] if isinstance(self.eval_type, str) else self.eval_type
        return tuple(one for one in EVAL_TYPES if one in named)

    def without_cases(self) -> dict[str, Any]:
        """Return what was said, as it is stored: without cases."""
        return self.model_dump(mode="json", exclude={"cases"}, exclude_unset=True)


def respelled(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request with ``path_to_file`` spelled so; both spellings stay where both stand."""
    if PATH_SPELLING in given and "path_to_file" not in given:
        return {
            "path_to_file" if name == PATH_SPELLING else name: value
            for name, value in given.items()
        }
    return dict(given)

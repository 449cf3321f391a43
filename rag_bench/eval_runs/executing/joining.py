"""What the tiers stored of a part's cases, joined to the results that a client reads."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rag_bench.errors import ErrorCode
from rag_bench.eval_runs.executing import case_errors
from rag_bench.eval_runs.executing.case_errors import CaseProblem
from rag_bench.eval_runs.executing.wanted import Wanted
from rag_bench.eval_runs.flags import Known, Rules, flags_of, reviews_of
from rag_bench.evaluation.metrics.ragas import RAGAS_ANSWER_NAMES, RAGAS_CONTEXT_NAMES
from rag_bench.evaluation.metrics.target_retrieval import PREFIX as OWN_RETRIEVAL
from rag_bench.evaluation.rubrics import PREFIX as RUBRIC
from rag_bench.llm.tasks.pipeline import REFUSED, is_refusal
from rag_bench.store.datasets import Item
from rag_bench.store.eval_runs.results import CaseResult, CaseRow
from rag_bench.store.evaluations import Case, StoredEvaluation
from rag_bench.store.evaluations.outcome import rounded
from rag_bench.tiers.base.asked_rubrics import possible_rubrics

_RAGAS = "ragas_"
#: The fields of the reply that RAGAS gives.
_AT_THE_CASE = ("faithfulness", "answer_relevancy", "context_precision", "context_recall")
_RECALL = "context_recall"
#: Remarks of a case that say that a model read only the beginning of a text.
_TRUNCATED = "truncated"
_NO_CITATIONS = str(ErrorCode.NO_CITATIONS)

Cases = Mapping[str, Case]
Named = Callable[[Iterable[str]], Mapping[str, Any]]
"""Returns what chunks are called where the client did not name them."""


@dataclass(frozen=True)
class Judged:
    """An evaluation that scores answers: its cases, and what its details call its metrics."""

    cases: Cases
    names: Mapping[str, str]


@dataclass(frozen=True)
class Measured:
    """What was stored of a part.

    Attributes:
        answers: by case; None: nobody was asked.
        retrieval: what tier 1 found; None: it was not asked.
        judged: scores of judges, and of other measures.
        cut: cases of which an encoder read only the beginning of a text.
        relevant: of the found chunks, by the relevant one that each counts as.
        called: what the ledger says of the calls that the cases rest on, by id.
    """

    answers: Cases | None
    retrieval: Cases | None = None
    judged: Sequence[Judged] = ()
    cut: Collection[str] = ()
    same: Callable[[Sequence[str], Sequence[str]], Sequence[str]] = field(
        default=lambda ranking, _: ranking
    )
    called: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def call_ids(self) -> set[int]:
        """The calls that all cases name."""
        parts = [self.answers or {}, self.retrieval or {}, *(one.cases for one in self.judged)]
        cases = (case for part in parts for case in part.values())
        return {call["id"] for case in cases for call in case.calls or ()}


def ragas_names(cases: Cases, names: Sequence[str]) -> Judged:
    """Return scores of RAGAS."""
    return Judged(cases, {name.removeprefix(_RAGAS): name for name in names})


def answer_ragas(cases: Cases) -> Judged:
    """Return RAGAS' scores of answers."""
    return ragas_names(cases, RAGAS_ANSWER_NAMES)


def context_ragas(cases: Cases) -> Judged:
    """Return RAGAS' scores of contexts."""
    return ragas_names(cases, RAGAS_CONTEXT_NAMES)


def rubric_scores(cases: Cases) -> Judged:
    """Return scores by rubrics."""
    return Judged(cases, {name: RUBRIC + name for name in possible_rubrics("3")})


def extra_scores(cases: Cases, evaluation: StoredEvaluation) -> Judged:
    """Return scores of BERTScore and of the user's metrics, which details call by their names."""
    return Judged(cases, {name: name for name in evaluation.inputs.get("measures") or {}})


def joined(
    rows: Sequence[CaseRow],
    items: Mapping[str, Item],
    measured: Measured,
    wanted: Wanted,
    rules: Rules,
    named: Named,
) -> list[CaseResult]:
    """Return the result of each case, in their order.

    ``named``: asked once, for all chunks of the part that clients did not name.
    """
    drafts = [_Draft(row, items[row.case_id], measured, wanted) for row in rows]
    unnamed = {chunk for draft in drafts for chunk in draft.chunks if chunk not in draft.own_names}
    names = named(sorted(unnamed)) if unnamed else {}
    return [draft.result(names, rules) for draft in drafts]


class _Draft:
    """One case on its way to a result."""

    def __init__(self, row: CaseRow, item: Item, measured: Measured, wanted: Wanted) -> None:
        self.row, self.item, self.wanted = row, item, wanted
        self.answer = (measured.answers or {}).get(row.case_id)
        self.only_searched = measured.answers is None
        self.found = (measured.retrieval or {}).get(row.case_id)
        self.of_us = measured.retrieval is not None
        self.same = measured.same
        self.cut = row.case_id in measured.cut
        self.rests_on = [case for case in (self.answer, self.found) if case is not None]
        self.called = measured.called
        self.metrics: dict[str, float | None] = {}
        self.problems: list[CaseProblem] = []
        self.said: dict[str, Any] = {}
        self.remarks: dict[str, None] = dict.fromkeys(self.answer.flags if self.answer else ())
        self._read_answer()
        for judged in measured.judged:
            self._read_judged(judged)
        self.own_names: Mapping[str, Any] = row.known.get("names") or {}
        self.retrieved = self._retrieved()
        self.cited: list[str] = list(self.answer.citations or ()) if self.answer else []
        self.chunks = [c for c in (*(self.retrieved or ()), *self.cited) if _is_chunk(c)]

    def _read_answer(self) -> None:
        case, found = self.answer, self.found
        if found is not None and self.wanted.retrieval and self.item.chunk_hashes:
            self.metrics |= _numbers(found.scores)
        if found is not None and found.error_code is not None and self.only_searched:
            self.problems.append(case_errors.of_search(found.error_code, found.error_detail))
        if case is None:
            return
        if case.error_code is not None and case.answer is None:
            self.problems.append(case_errors.of_answer(case.error_code, case.error_detail))
            return
        for name, value in _numbers(case.scores).items():
            own = name.startswith(OWN_RETRIEVAL)
            if self.wanted.shows(name) and (not own or self.item.chunk_hashes):
                self.metrics[name] = value
        if self._cites_nothing:
            self.problems.append(case_errors.no_citations())

    def _read_judged(self, judged: Judged) -> None:
        case = judged.cases.get(self.row.case_id)
        self.rests_on += [] if case is None else [case]
        if case is None or self.answer is None or self.answer.answer is None:
            return
        scores = {
            name: value
            for name, value in case.scores.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        }
        self.metrics |= scores
        self.remarks |= dict.fromkeys(case.flags)
        for name, value in case.scores.items():
            said, _, metric = name.partition("_")
            if said in ("evidence", "reasoning"):
                self.said.setdefault(said, {})[metric] = value
        if case.error_code is not None:
            found = case_errors.of_metrics(case.error_code, case.error_detail, judged.names, scores)
            self.problems += found
            self.metrics |= {one.metric: None for one in found if one.metric}

    def _retrieved(self) -> list[str] | None:
        """Return the chunks that were retrieved, best first; None: it is not known what was."""
        if self.of_us:
            if self.found is None or self.found.error_code is not None:
                return None
            return [row["chunk_hash"] for row in self.found.retrieved or ()]
        rows = (self.answer.retrieved if self.answer else None) or ()
        chunks = [row["chunk_hash"] for row in rows if row.get("chunk_hash")]
        # Contexts that are no chunks of ours may hold what the ground truth names.
        return chunks if rows and len(chunks) == len(rows) else chunks or None

    @property
    def answered(self) -> bool:
        return self.answer is not None and self.answer.answer is not None

    @property
    def _cites_nothing(self) -> bool:
        """Whether there is an answer that cites nothing; a refusal has nothing to cite."""
        case = self.answer
        if case is None or case.answer is None or _NO_CITATIONS not in case.flags:
            return False
        return REFUSED not in case.flags and not is_refusal(case.answer)

    def result(self, names: Mapping[str, Any], rules: Rules) -> CaseResult:
        """Return what is stored of the case."""
        if self.only_searched:
            if self.found is None:
                return CaseResult(self.row.position, None)
        elif self.answer is None or (not self.answered and self._was_not_asked()):
            return CaseResult(self.row.position, None)
        known = self._known()
        flags = flags_of(known, rules)
        told = {name: self._ragas(name) for name in _AT_THE_CASE}
        if self.wanted.ragas_contexts and self._cites_nothing:
            told[_RECALL] = 0.0  # RAGAS' own stands among the metrics
        errors = [problem.as_json() for problem in self.problems]
        result = {
            **told,
            "llm_answer": self.answer.answer if self.answer else None,
            "citations_used": [self._name(chunk, names) for chunk in self.cited],
            "flags": flags,
            "errors": errors or None,
            "metrics": dict(sorted(self.metrics.items())),
            "lang": self.row.known.get("lang"),
            "details": self._details(names, reviews_of(known, rules)),
        }
        errored = any(problem.code != ErrorCode.NO_CITATIONS for problem in self.problems)
        return CaseResult(self.row.position, result, errored, bool(flags))

    def _was_not_asked(self) -> bool:
        return bool(self.problems) and not any(problem.asked for problem in self.problems)

    def _ragas(self, name: str) -> float | None:
        return self.metrics.get(_RAGAS + name)

    def _known(self) -> Known:
        row, cited = self.row.known, self.cited
        given = self._given()
        relevant = tuple(row.get("chunk_hashes") or ())
        retrieved = self.retrieved
        return Known(
            relevant=relevant,
            retrieved=None if retrieved is None else self.same(retrieved, relevant),
            unknown_chunks=tuple(row.get("unknown_chunks") or ()),
            outdated_chunks=tuple(row.get("outdated_chunks") or ()),
            failures=[problem.code for problem in self.problems if problem.asked],
            metrics=self.metrics,
            cites_nothing=self._cites_nothing,
            n_cited=len(cited),
            n_cited_given=len(cited) if given is None else len(given.intersection(cited)),
            truncated=self.cut or any(_TRUNCATED in remark for remark in self.remarks),
        )

    def _given(self) -> set[str] | None:
        """Return what the answer was made from, chunk by chunk; None: nothing is known of it."""
        rows = (self.answer.retrieved if self.answer else None) or ()
        if not rows:
            return None
        return {
            row.get("chunk_hash") or f"context {number}" for number, row in enumerate(rows, start=1)
        }

    def _details(self, names: Mapping[str, Any], reviews: Sequence[str]) -> dict[str, Any]:
        details: dict[str, Any] = {"lang_by": self.row.known.get("lang_by")}
        if self.retrieved is not None:
            details["retrieved"] = [self._name(chunk, names) for chunk in self.retrieved]
        for name in ("unknown_chunks", "outdated_chunks"):
            if lacking := self.row.known.get(name):
                details[name] = list(lacking)
        if reviews:
            details["review"] = list(reviews)
        if self.remarks:
            details["remarks"] = list(self.remarks)
        latency = self.answer.scores.get("latency_ms") if self.answer else None
        if latency is not None:
            details["latency_ms"] = latency
        calls = self._calls()
        if calls != []:
            details["calls"] = calls
        return details | self.said

    def _calls(self) -> list[dict[str, Any]] | None:
        """Return the calls that the case rests on; None where a part was stored before they were
        noted: the rest would look like all.
        """
        if any(case.calls is None for case in self.rests_on):
            return None
        noted = [call for case in self.rests_on for call in case.calls or ()]
        return [{**call, **self.called.get(call["id"], {})} for call in noted]

    def _name(self, chunk: str, names: Mapping[str, Any]) -> Any:
        """Return what the client calls a chunk, or one of its contexts that is none."""
        if not _is_chunk(chunk):
            contexts = self.row.given.get("contexts") or []
            number = int(chunk.removeprefix("context ")) - 1
            context = contexts[number] if number < len(contexts) else None
            own = context.get("id") if isinstance(context, Mapping) else None
            return chunk if own is None else own
        return self.own_names.get(chunk, names.get(chunk, chunk))


def _is_chunk(cited: str) -> bool:
    return not cited.startswith("context ")


def _numbers(scores: Mapping[str, Any]) -> dict[str, float | None]:
    """Return the scores among what is stored of a case, rounded as they are stored."""
    return {
        name: rounded(value)
        for name, value in scores.items()
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool))
    }

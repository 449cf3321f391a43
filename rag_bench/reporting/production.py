"""What users got, as the baseline of a leaderboard: ``production/log`` beside the models.

Models are compared with it on the questions that both answered, case by case; who answered at all
is a comparison of its own. Users' ratings are shown beside the judges' scores, and nothing is said
of them.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rag_bench.analytics.text import is_answer
from rag_bench.answer_sources import PRODUCTION_LOG
from rag_bench.evaluation.against import Against, against
from rag_bench.evaluation.catalogue import known
from rag_bench.evaluation.metrics.refusals import ANSWERED
from rag_bench.evaluation.ranking import Judge
from rag_bench.evaluation.rubrics import PREFIX, RUBRICS, SCALE
from rag_bench.evaluation.traffic.ratings import RatedScores, scores_by_rating
from rag_bench.llm.tasks.pipeline import REFUSED
from rag_bench.store import evaluations
from rag_bench.store.case_scores import case_scores
from rag_bench.store.datasets import USER_RATING

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.store.evaluations import Case, StoredEvaluation

LOG = PRODUCTION_LOG.key
TIER = "3"


@dataclass(frozen=True)
class Rated:
    """How a judge scored what users rated, by one rubric."""

    metric: str
    judge: str
    rows: Sequence[RatedScores]


@dataclass(frozen=True)
class Baseline:
    """Models against what users got, and the judges' scores beside the users' ratings."""

    lines: Sequence[Against]
    ratings: Sequence[Rated]

    def as_json(self) -> dict[str, Any]:
        """Return it for ``--json`` and the report."""
        return {
            "baseline": LOG,
            "comparisons": [_line_json(line) for line in self.lines],
            "scores_by_rating": [
                {
                    "metric": rated.metric,
                    "benchmark_judge_model": rated.judge,
                    "rating": row.rating,
                    "counts": {str(score): n for score, n in row.counts.items()},
                    "n_unscored": row.n_unscored,
                    "n": row.n,
                }
                for rated in self.ratings
                for row in rated.rows
            ],
        }


def baseline_of(
    engine: Engine, settings_hash: str, clusters: Mapping[str, Hashable]
) -> Baseline | None:
    """Return the baseline under a settings hash; None where the log was not measured."""
    joined = evaluations.joined(engine, settings_hash)
    answers = [one for one in joined if (one.tier, one.kind) == (TIER, "answers")]
    if not any(one.generation_model == LOG for one in answers):
        return None
    measured = {
        metric
        for one in joined
        if (one.tier, one.kind, one.generation_model) == (TIER, "scores", LOG)
        for metric in one.metrics
        if metric.startswith(PREFIX)
    }
    lines = []
    # The one that models are ranked by first, then in the order in which they are asked.
    rubrics = sorted(RUBRICS.values(), key=lambda r: (not _ranks(r.prompt), r.order))
    for metric in (rubric.prompt for rubric in rubrics if rubric.prompt in measured):
        scores = case_scores(engine, settings_hash, tier=TIER, kind="scores", metric=metric)
        spec = known(metric)
        lines += against(metric, scores, LOG, clusters, scale=spec.scale if spec else None)
    answered: dict[tuple[str, Judge], dict[str, float]] = {
        (one.generation_model or "", None): _answered(evaluations.cases_of(engine, one.id))
        for one in answers
    }
    lines += against(ANSWERED, answered, LOG, clusters, scale=(0.0, 1.0), yes_no=True)
    of_log = [
        one for one in joined if (one.tier, one.kind, one.generation_model) == (TIER, "scores", LOG)
    ]
    rated = [
        table
        for one in sorted(of_log, key=lambda one: one.benchmark_judge_model or "")
        for table in ratings_of(one, evaluations.cases_of(engine, one.id))
    ]
    return Baseline(lines, rated)


def ratings_of(evaluation: StoredEvaluation, cases: Sequence[Case]) -> list[Rated]:
    """Return how a judge scored the answers that users rated, by rubric; none if nobody rated."""
    metrics = [name for name in evaluation.metrics if name.startswith(PREFIX)]
    found = []
    for metric in sorted(metrics, key=lambda name: (not _ranks(name), name)):
        rows = scores_by_rating(
            (case.scores.get(USER_RATING), case.scores.get(metric)) for case in cases
        )
        if rows:
            found.append(Rated(metric, evaluation.benchmark_judge_model or "", rows))
    return found


def title_of(metric: str) -> str:
    """Return what a table calls a measure."""
    spec = known(metric)
    shown = [column for column in spec.shown if column.tier == TIER] if spec else []
    return shown[0].title if shown else metric


Cells = tuple[Sequence[str], Sequence[Sequence[str | float | int | None]]]
"""A table: the names of its columns, and its rows."""


def against_table(baseline: Baseline) -> Cells:
    """Return the comparisons as a table."""
    columns = ["measure", "judge", "model", LOG, "model's", "difference", "95 % interval", "pairs"]
    columns += ["p (Holm)", "could be seen from", "the model"]
    rows: list[Sequence[str | float | int | None]] = []
    for line in baseline.lines:
        found = line.comparison.difference
        rows.append(
            [
                title_of(line.metric),
                line.judge or "–",
                line.model,
                line.baseline_mean,
                line.model_mean,
                found.value,
                interval_of(line),
                found.n_scored,
                line.p_adjusted,
                line.comparison.minimum_detectable,
                verdict_of(line),
            ]
        )
    return columns, rows


def verdict_of(line: Against) -> str:
    """Return what a comparison says of the model. To answer more questions is not to be better by
    it: nothing may answer them.
    """
    words = {"better": "answers more", "worse": "answers less"} if line.metric == ANSWERED else {}
    return words.get(line.verdict, line.verdict)


def ratings_table(ratings: Sequence[Rated]) -> Cells:
    """Return scores beside ratings as a table of counts."""
    scores = range(int(SCALE[0]), int(SCALE[1]) + 1)
    columns = ["measure", "judge", "users' rating", *(f"scored {score}" for score in scores)]
    rows: list[Sequence[str | float | int | None]] = [
        [
            title_of(rated.metric),
            rated.judge,
            f"{row.rating:g}",
            *(row.counts.get(score, 0) for score in scores),
            row.n_unscored,
            row.n,
        ]
        for rated in ratings
        for row in rated.rows
    ]
    return [*columns, "not scored", "answers"], rows


def interval_of(line: Against) -> str:
    """Return a difference's interval in words; a dash if the data gives none."""
    found = line.comparison.difference
    if found.ci_low is None or found.ci_high is None:
        return "–"
    return f"{found.ci_low:+.3f} … {found.ci_high:+.3f}"


def sentences(baseline: Baseline) -> list[str]:
    """Say how the models stand against what users got, by the leading measure."""
    lead = baseline.lines[0].metric if baseline.lines else ANSWERED
    if lead == ANSWERED:  # nothing was scored of both
        return []
    said = []
    for line in baseline.lines:
        found = line.comparison.difference
        if line.metric != lead or found.value is None:
            continue
        interval = "" if found.ci_low is None else f" [{found.ci_low:+.2f}, {found.ci_high:+.2f}]"
        by = f" by {line.judge}" if line.judge else ""
        said.append(
            f"{line.model} against {LOG}{by}: {title_of(lead)} {found.value:+.2f}{interval} on "
            f"{found.n_scored} questions that both answered, {verdict_of(line)}."
        )
    return said


def _answered(cases: Sequence[Case]) -> dict[str, float]:
    return {
        case.case_id: float(REFUSED not in case.flags and is_answer(case.answer))
        for case in cases
        if case.repeat == 0 and not case.error_code
    }


def _ranks(metric: str) -> bool:
    spec = known(metric)
    return bool(spec and any(c.tier == TIER and c.ranks is not None for c in spec.shown))


def _line_json(line: Against) -> dict[str, Any]:
    compared = line.comparison
    return {
        "metric": line.metric,
        "benchmark_judge_model": line.judge,
        "generation_model": line.model,
        "baseline_mean": line.baseline_mean,
        "model_mean": line.model_mean,
        "difference": compared.difference.to_json(),
        "p_value": compared.p_value,
        "p_exact": compared.p_exact,
        "p_adjusted": line.p_adjusted,
        "method": compared.method,
        "minimum_detectable": compared.minimum_detectable,
        "verdict": verdict_of(line),
    }

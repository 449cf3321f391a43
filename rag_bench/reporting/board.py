"""The board: one row per model, which is what a person chooses from.

Generation models with each benchmark judge beside them, production judges with what they are chosen
by, and benchmark judges with how far they can be trusted. Terminal, UI, report and JSON show this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rag_bench.answer_sources import PRODUCTION_LOG, source_of
from rag_bench.evaluation.paired.places import Places
from rag_bench.evaluation.ranking import ALPHA, LEAST_SCORED, Standing, percent
from rag_bench.evaluation.types import FEW_CLUSTERS
from rag_bench.llm.config.targets import is_target
from rag_bench.reporting import live_assistants
from rag_bench.reporting.columns import columns_of
from rag_bench.reporting.leaderboard import (
    COLUMNS,
    SHOW_F1,
    Column,
    Leaderboard,
    Row,
    gate_value,
    lead_column,
    ordered_gates,
)
from rag_bench.reporting.production import sentences
from rag_bench.store.labels.checked import NEVER_CHECKED, mark_of

if TYPE_CHECKING:
    from rag_bench.llm.config.providers import Role

Metric = Mapping[str, Any]


@dataclass(frozen=True)
class GeneratorLine:
    """A generation model on the board.

    ``by_judge``: the leading measure by each benchmark judge. ``row``: the model's row by the main
    judge that scored it. ``cost_per_1000``: USD per 1,000 answers, None where no price is known.
    """

    standing: Standing
    row: Row
    by_judge: Mapping[str, Metric | None]
    lead: Column
    n_scored: int
    n_expected: int
    cost_per_1000: float | None
    configured: bool
    places: Places | None = None

    @property
    def model(self) -> str:
        """The model's key."""
        return self.standing.model

    @property
    def label(self) -> str:
        """Its key, and what it is if it is no model of those that are configured."""
        source = source_of(self.model)
        title = f" ({source.title})" if source else ""
        return self.model + title + ("" if self.configured else " (not configured)")

    @property
    def latency(self) -> Metric | None:
        """The mean latency of an answer in milliseconds: of tier 3, else of tier 2."""
        return _answer_metric(self.row, "avg_latency_ms")

    @property
    def place(self) -> str:
        """Its rank; ``=`` behind it if it cannot be told from the first."""
        rank = "–" if self.standing.rank is None else str(self.standing.rank)
        return rank + (" =" if self.standing.tied else "")

    @property
    def against_first(self) -> str:
        """How far it is behind the first, in standard deviations, and how sure its rank is."""
        standing = self.standing
        sure = self.places.said(self.model, leads=standing.rank == 1) if self.places else ""
        if standing.rank is None:
            return "not ranked"
        if standing.rank == 1:
            return f"first{sure}"
        if standing.behind is None or standing.behind.difference.value is None:
            return "–"
        found = standing.behind.difference
        gap = f"{found.value:.2f}"
        if found.ci_low is not None and found.ci_high is not None:
            gap += f" [{found.ci_low:.2f}, {found.ci_high:.2f}]"
        return gap + sure


@dataclass(frozen=True)
class GateLine:
    """A production judge on the board; ``rank`` by F1 if every unreadable reply were wrong."""

    rank: int | None
    model: str
    metrics: Mapping[str, Metric]
    cost_per_1000: float | None
    configured: bool

    def metric(self, name: str) -> Metric | None:
        """Return one of its metrics."""
        return self.metrics.get(name)

    @property
    def remark(self) -> str:
        """What stands in the way of reading its figures as they are."""
        f1 = self.metrics.get(SHOW_F1.metric)
        if f1 is None or f1["value"] is None:
            return "no F1"
        if f1["n_scored"] >= LEAST_SCORED * f1["n_expected"]:
            return ""
        share = percent(f1["n_scored"] / f1["n_expected"])
        return (
            f"only {share} of its replies could be read; F1 {gate_value(f1):.3f} if the others "
            "were wrong"
        )


@dataclass(frozen=True)
class JudgeLine:
    """A benchmark judge on the board: whether its scores order the models, and why not.

    ``against_people``: whether its scores were ever compared with what people said.
    """

    model: str
    counts: bool
    reason: str
    metrics: Mapping[str, Metric] | None
    configured: bool
    against_people: bool = False

    @property
    def checked(self) -> str:
        """Whether tier judge examined it, in words."""
        return "yes" if self.metrics else "not checked"

    @property
    def people(self) -> str:
        """Whether people's labels say anything of it, in words."""
        return "yes" if self.against_people else NEVER_CHECKED


def generators(board: Leaderboard) -> list[GeneratorLine]:
    """Return the generation models, best first, those that are not ranked last."""
    from rag_bench.llm.config.providers import Role

    lead = lead_column(board.rows)
    examined_by = [judge for judge in _judges(board) if judge]
    lines = []
    for standing in board.ranking.standings:
        mine = [row for row in board.rows if row.generation_model == standing.model]
        found = {row.benchmark_judge_model: row for row in mine}
        shown = next((found[j] for j in board.ranking.judges if j in found), mine[0])
        by_judge = {j: found[j].metric(lead) if j in found else None for j in examined_by}
        counted = [m for j in board.ranking.judges if (m := _lead_of(found, j, lead)) is not None]
        least = min(counted, key=lambda m: m["n_scored"] - m["n_expected"], default=None)
        lines.append(
            GeneratorLine(
                standing,
                shown,
                by_judge,
                lead,
                least["n_scored"] if least else 0,
                least["n_expected"] if least else board.n_questions,
                _cost(board, Role.generation, standing.model),
                board.configured is None or standing.model in board.configured.generation,
                board.ranking.places,
            )
        )
    return lines


def gates(board: Leaderboard) -> list[GateLine]:
    """Return the production judges, best first."""
    from rag_bench.llm.config.providers import Role

    found = board.production_judges()
    return [
        GateLine(
            None if gate_value(found[model].get(SHOW_F1.metric)) is None else rank,
            model,
            found[model],
            _cost(board, Role.production_judge, model),
            board.configured is None or model in board.configured.production_judges,
        )
        for rank, model in enumerate(ordered_gates(board.rows), start=1)
    ]


def judges(board: Leaderboard) -> list[JudgeLine]:
    """Return the benchmark judges, those that order the models first."""
    examined = {
        row.benchmark_judge_model: row.metrics["tier_judge"]
        for row in board.rows
        if "tier_judge" in row.metrics
    }
    lines = [
        JudgeLine(
            judge,
            judge in board.ranking.judges,
            board.ranking.left_out.get(judge, ""),
            examined.get(judge),
            board.configured is None or judge in board.configured.benchmark_judges,
            judge not in board.never_checked,
        )
        for judge in _judges(board)
        if judge
    ]
    return sorted(lines, key=lambda line: not line.counts)


def notes(board: Leaderboard) -> list[str]:
    """Say what the order rests on, in the words of a person who must not be misled."""
    ranking, lead = board.ranking, lead_column(board.rows)
    ranked = [line for line in ranking.standings if line.rank is not None]
    said = []
    if ranking.n_common:
        said.append(
            f"Ordered by {lead.title}, in standard deviations of each judge's own scores, on the "
            f"{ranking.n_common} of {ranking.n_cases} questions (of {ranking.n_clusters} pages) "
            "that at least one judge scored for every ranked model, by those judges."
        )
        if ranking.n_clusters < FEW_CLUSTERS:
            said.append(f"Fewer than {FEW_CLUSTERS} pages: differences are less sure than said.")
    elif ranked:
        said.append(f"Ordered by mean {lead.title}; no scores of single questions are stored.")
    for standing in ranking.standings:
        if standing.reason:
            said.append(f"{standing.model} is not ranked: {standing.reason}.")
    tied = [line.model for line in ranked if line.tied]
    if tied:
        said.append(
            f"= cannot be told from the first ({', '.join(tied)}): paired by question, clustered "
            f"by page, p adjusted for all pairs at least {ALPHA:g}."
        )
    if len(ranking.judges) > 1 and not ranking.independent:
        said.append(
            "Not every judge was examined by tier judge, so their spread is taken from these very "
            "scores: where judges disagree, adding a model can turn the order of two others."
        )
    unchecked = [line.model for line in judges(board) if line.counts and not line.metrics]
    if unchecked:
        said.append(f"Not checked by tier judge: {', '.join(unchecked)}.")
    said += filter(None, [mark_of(board.never_checked)])
    for judge, reason in ranking.left_out.items():
        said.append(f"{judge} does not count in the order: {reason}.")
    said += [*board.instrument_marks, *filter(None, [board.topic_note])]
    if board.baseline:
        said += [PRODUCTION_LOG.note, *sentences(board.baseline)]
    if removed := not_configured(board):
        said.append(f"No longer configured, or named to a command only: {', '.join(removed)}.")
    said += [
        live_assistants.note(line.model, line.row.metrics.get("tier_3", {}))
        for line in generators(board)
        if is_target(line.model)
    ]
    if any(row.simulated for row in board.rows):
        said.append("Models named simulator/sim-* are simulated.")
    return said


def not_configured(board: Leaderboard) -> list[str]:
    """Return the models that the environment does not name now: their results are of the past."""
    found = [line.model for line in generators(board) if not line.configured]
    found += [line.model for line in judges(board) if not line.configured]
    found += [line.model for line in gates(board) if not line.configured]
    return list(dict.fromkeys(found))


def columns_shown(board: Leaderboard) -> list[Column]:
    """Return the columns of a generation model beside the leading one, which judges have.

    What a production judge is measured by says nothing of a generation model.
    """
    lead = lead_column(board.rows)
    return [c for c in all_columns(board, COLUMNS) if c != lead and c.tier != SHOW_F1.tier]


def all_columns(board: Leaderboard, always: Sequence[Column]) -> list[Column]:
    """Return the columns of a board's combinations; ``always``: those of every board.

    Beside what users got, which no reference answer is for, such as nothing has are left out.
    """
    columns = columns_of((row.metrics for row in board.rows), always)
    if board.baseline is None:
        return columns
    return [c for c in columns if any(row.value(c) is not None for row in board.rows)]


def _judges(board: Leaderboard) -> Sequence[str | None]:
    """Return the judges in the order of the rows, which is the user's."""
    return list(dict.fromkeys(row.benchmark_judge_model for row in board.rows))


def _lead_of(found: Mapping[str | None, Row], judge: str | None, lead: Column) -> Metric | None:
    row = found.get(judge) if judge else next(iter(found.values()), None)
    return row.metric(lead) if row else None


def _answer_metric(row: Row, name: str) -> Metric | None:
    for tier in ("tier_3", "tier_2"):
        if name in row.metrics.get(tier, {}):
            found: Metric = row.metrics[tier][name]
            return found
    return None


def _cost(board: Leaderboard, role: Role, model: str) -> float | None:
    each = board.costs.get((role.value, model))
    return None if each is None else each * 1000

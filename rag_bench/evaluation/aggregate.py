"""From cases with scores and error codes to metrics and error counts; and citations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from rag_bench.errors import ErrorCode
from rag_bench.evaluation.catalogue import known as described
from rag_bench.evaluation.statistics import mean_metric, rate_metric
from rag_bench.evaluation.types import Metric, Scale

# The one code with a value: the case was answered and is scored, only without a citation.
_CODES_WITH_VALUE = frozenset({ErrorCode.NO_CITATIONS})


@dataclass(frozen=True)
class CaseRecord:
    """One case as it is stored: its scores, or why it has none.

    ``cluster``: the case's page, for the interval. ``scores``: {metric: value or None}; a metric
    that is absent or None is missing, whatever the cause. ``error_code``: the case's failure, if
    any; its ``scores`` may still hold the measures that did work. ``flags``: remarks such as
    ``NO_CITATIONS``, counted beside the errors. ``not_applicable``: metrics that this case
    cannot have (correctness without a reference answer): not expected, so not missing.
    ``withheld``: {metric: reason} of measures that are not right for this case (words of a script
    without spaces): not expected either, and counted by reason.
    """

    case_id: str
    cluster: Hashable
    scores: Mapping[str, float | None] = field(default_factory=dict)
    error_code: str | None = None
    flags: Collection[str] = ()
    not_applicable: Collection[str] = ()
    withheld: Mapping[str, str] = field(default_factory=dict)


def aggregate_cases(
    records: Sequence[CaseRecord],
    names: Iterable[str],
    *,
    scales: Mapping[str, Scale | None] | None = None,
    rates: Collection[str] = (),
    seed: int = 0,
) -> dict[str, Metric]:
    """Return ``{name: Metric}`` over all records, the failed ones counted as expected.

    ``names``: the metrics this tier promises; one that no case has comes back with 0 scored
    rather than not at all. Scale and kind come from the catalogue unless ``scales`` or ``rates``
    say otherwise (a custom metric). Raises ValueError for a case that is there twice (pass one
    repeat only), or a score outside its scale.
    """
    seen = Counter(record.case_id for record in records)
    if repeated := [case for case, times in seen.items() if times > 1]:
        raise ValueError(f"{len(repeated)} cases are there more than once, as {repeated[0]!r}")
    metrics: dict[str, Metric] = {}
    for name in names:
        known = described(name)
        scale = (scales or {}).get(name, known.scale if known else None)
        possible = [record for record in records if name not in record.not_applicable]
        applicable = [record for record in possible if name not in record.withheld]
        values = [record.scores.get(name) for record in applicable]
        clusters = [record.cluster for record in applicable]
        if name in rates or (known is not None and known.kind == "rate"):
            yes = [None if v is None else _yes(name, v) for v in values]
            metrics[name] = rate_metric(yes, clusters=clusters)
        else:
            metrics[name] = mean_metric(values, clusters, scale=scale, seed=seed)
        withheld = Counter(r.withheld[name] for r in possible if name in r.withheld)
        if withheld:
            metrics[name] = replace(metrics[name], withheld=dict(sorted(withheld.items())))
    return metrics


class Coded(Protocol):
    """A case as far as errors are counted: a record of this module, or a stored case."""

    @property
    def error_code(self) -> str | None: ...

    @property
    def flags(self) -> Collection[str]: ...


def count_errors(records: Iterable[Coded]) -> dict[str, int]:
    """Return ``{code: number of cases}``, most frequent first.

    A flag that is an error code (``NO_CITATIONS``) counts too, once per case.
    """
    codes = {code.value for code in ErrorCode}
    counts: Counter[str] = Counter()
    for record in records:
        found = {flag for flag in record.flags if flag in codes}
        if record.error_code is not None:
            found.add(str(record.error_code))
        counts.update(found)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def count_flags(records: Iterable[Coded]) -> dict[str, int]:
    """Return ``{flag: number of cases}``, most frequent first."""
    counts = Counter(flag for record in records for flag in set(record.flags))
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def is_failure(error_code: str | None) -> bool:
    """Return whether a case with this code has no result (``NO_CITATIONS`` has one)."""
    return error_code is not None and error_code not in _CODES_WITH_VALUE


def _yes(name: str, value: float) -> bool:
    if value not in (0, 1):
        raise ValueError(f"{name} is a rate; a case has 1 or 0, not {value}")
    return bool(value)

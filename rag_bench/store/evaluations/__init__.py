"""Evaluations and their cases: appended when finished, never changed.

An evaluation is written whole, in one transaction, when it is done; until then its progress
lives in the call ledger. So a killed run leaves no half evaluation.
"""

from rag_bench.store.evaluations.finding import (
    cases_of,
    failures_of,
    find_finished,
    latest,
    latest_of_kind,
    newest_id,
    what_is_there,
)
from rag_bench.store.evaluations.joining import (
    Triple,
    different_instruments,
    joined,
    measured_triples,
    version_of_all,
)
from rag_bench.store.evaluations.measured_settings import (
    MeasuredSettings,
    find_settings_hash,
    newest_settings_hash,
    settings_seen,
)
from rag_bench.store.evaluations.outcome import (
    outcome_hash,
)
from rag_bench.store.evaluations.records import (
    Case,
    Kind,
    NewEvaluation,
    StoredEvaluation,
)
from rag_bench.store.evaluations.saving import (
    save_evaluation,
    save_evaluation_in,
)
from rag_bench.store.evaluations.triples import model_runs

__all__ = [
    "Case",
    "Kind",
    "MeasuredSettings",
    "NewEvaluation",
    "StoredEvaluation",
    "Triple",
    "cases_of",
    "different_instruments",
    "failures_of",
    "find_finished",
    "find_settings_hash",
    "joined",
    "latest",
    "latest_of_kind",
    "measured_triples",
    "model_runs",
    "newest_id",
    "newest_settings_hash",
    "outcome_hash",
    "save_evaluation",
    "save_evaluation_in",
    "settings_seen",
    "version_of_all",
    "what_is_there",
]

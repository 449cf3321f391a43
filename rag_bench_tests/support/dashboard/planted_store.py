"""A store with personal data of every kind wherever words are kept, and what must not be seen."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from api_runs import CONFIG
from sqlalchemy import Engine, insert, text

from rag_bench.store.drafts import drafts
from rag_bench.store.eval_runs.tables import eval_event, eval_run, eval_run_case
from rag_bench.store.labels.draws import draw
from rag_bench.store.labels.guidelines import keep_guideline
from rag_bench.store.labels.labelling import label_case

#: Invented, of every kind, and how each may be told where it shows.
PLANTED = {
    "e-mail": "maria.kuznetsova@example.org",
    "phone": "+7 912 345-67-89",
    "link": "https://t.me/kuznetsova_m",
    "handle": "@kuznetsova_maria",
    "number": "4012888777",
    "inn": "500100732259",
    "snils": "112-233-445 95",
    "passport": "6509 123456",
    "name": "Кузнецова Мария Петровна",
}
WORDS = (
    f"Я {PLANTED['name']}, тел. {PLANTED['phone']}, почта {PLANTED['e-mail']}, "
    f"ник {PLANTED['handle']}, {PLANTED['link']} зачётка {PLANTED['number']}, "
    f"ИНН {PLANTED['inn']}, СНИЛС {PLANTED['snils']}, паспорт {PLANTED['passport']}"
)
#: Pieces of it: none may stand in what is shown, however it is written there.
PIECES = (
    *("maria.kuznetsova", "912 345", "67-89", "kuznetsova_m", "4012888777"),
    *("500100732259", "112-233", "445 95", "6509 123", "123456", "Кузнецов", "Петровн"),
)
METRIC = "rubric_e2e_quality"
#: Ids of cases that are personal data; runs have them, and a dataset's.
CASE_IDS = (PLANTED["e-mail"], PLANTED["name"], "79123456789")
LABELS = {"who": WORDS, PLANTED["e-mail"]: "x", "phone": 79123456789}
BUILD = "998877665544"
DRAFT, DATASET_NAME = "hard", f"опрос {PLANTED['name']}"

_IN_WORDS = (
    "update rag_bench.dataset_item set question = :words || ' ' || item_id, "
    "reference_answer = :words",
    "update rag_bench.evaluation_case set answer = :words where answer is not null",
    # Whatever a judge says of a case.
    "update rag_bench.evaluation_case set scores = scores || (select jsonb_object_agg("
    "'reasoning_' || name, cast(:words as text)) from jsonb_object_keys(scores) as name) "
    "where scores ? 'rubric_e2e_quality'",
    "update rag_bench.evaluation_case set scores = scores || jsonb_build_object("
    "'reason', cast(:words as text), 'predicted_show', false) where scores ? 'predicted_show'",
    "update rag_bench.evaluation_case set error_detail = :words where error_code is not null",
    "update rag_bench.evaluation_case set scores = scores || jsonb_build_object("
    "'sample_questions', jsonb_build_array(cast(:words as text))) where scores ? "
    "'sample_questions'",
    "update rag_bench.question_answer set question = :words || ' ' || question, "
    "answer = :words where answer is not null",
    "update rag_bench.llm_call set error_detail = :words where error_code is not null",
    "update rag_bench.dataset set name = :dataset where kind = 'manual'",
)
#: In chunks what a person's name makes public stays; a telephone does not.
CHUNK = f"Звоните {PLANTED['phone']} или пишите {PLANTED['e-mail']}. "


@dataclass(frozen=True)
class PlantedIds:
    """What there is to ask for by its id: runs of two clients, and what else a path names."""

    own: str
    others: str
    over_dataset: str
    draw: int
    evaluations: tuple[int, int]
    case: str


def plant(engine: Engine) -> PlantedIds:
    """Put personal data wherever a store keeps words; ``anna`` and ``boris`` have runs."""
    with engine.begin() as connection:
        for statement in _IN_WORDS:
            given = {"words": WORDS, "dataset": DATASET_NAME}
            wanted = {name: value for name, value in given.items() if f":{name}" in statement}
            connection.execute(text(statement), wanted)
        connection.execute(
            text("update rag_bench.chunk set text = :words || text"), {"words": CHUNK}
        )
        dataset_id, case = _rename_a_case(connection)
    named = {"config": {**CONFIG, "path_to_file": f"{PLANTED['name']}.jsonl"}, "labels": LABELS}
    runs = [
        _run(engine, "run0", "anna", request={}, **named),
        _run(engine, "run1", "boris", request={}, **named),
        _run(engine, "run2", "anna", request={"dataset": DATASET_NAME}, labels={"build": BUILD}),
    ]
    draw_id = _labels(engine)
    with engine.begin() as connection:
        drafts.add_case(connection, DRAFT, dataset_id, case, "anna")
    query = text(
        "select max(id) from rag_bench.evaluation where tier = '3' and kind = 'scores' "
        "and generation_model like 'simulator/sim-%' "
        "and benchmark_judge_model = 'simulator/sim-judge-sharp' group by generation_model"
    )
    with engine.connect() as connection:
        first, last, *_ = sorted(connection.execute(query).scalars())
    return PlantedIds(*runs, draw=draw_id, evaluations=(first, last), case=case)


def found_in(shown: str) -> list[str]:
    """Return what of the planted data stands in a text, as it is or as JSON and URLs write it."""
    from html import unescape
    from urllib.parse import unquote_plus

    plain = unescape(unquote_plus(shown))
    texts = (shown, plain, _unescaped(plain))
    return [one for one in PIECES if any(one.casefold() in each.casefold() for each in texts)]


def _unescaped(shown: str) -> str:
    r"""Return a text with \u0041 read."""
    import re

    return re.sub(r"\\u([0-9a-fA-F]{4})", lambda m: chr(int(m[1], 16)), shown)


def _rename_a_case(connection: Any) -> tuple[str, str]:
    """Give cases of the measured dataset ids that are personal data; returns dataset and one id."""
    dataset_id = connection.execute(
        text(
            "select dataset_id from rag_bench.evaluation where tier = '3' and kind = 'answers' "
            "order by id desc limit 1"
        )
    ).scalar_one()
    given = connection.execute(
        text(
            "select item_id from rag_bench.dataset_item where dataset_id = :id "
            "order by position limit :n"
        ),
        {"id": dataset_id, "n": len(CASE_IDS)},
    ).scalars()
    for old, new in zip(list(given), CASE_IDS, strict=True):
        for statement in (
            "update rag_bench.dataset_item set item_id = :new where item_id = :old",
            "update rag_bench.evaluation_case set case_id = :new where case_id = :old",
        ):
            connection.execute(text(statement), {"old": old, "new": new})
    return dataset_id, CASE_IDS[0]


def _run(engine: Engine, run_id: str, user: str, **columns: Any) -> str:
    """Store an ended run whose every text is personal data."""
    results = [
        {
            "case_id": case_id,
            "faithfulness": 0.2,
            "answer_relevancy": None,
            "context_precision": None,
            "context_recall": None,
            "llm_answer": WORDS,
            "citations_used": [WORDS],
            "flags": ["manual_review_required"],
            "errors": [{"code": "LLM_FAILED", "metric": "faithfulness", "detail": WORDS}],
            "metrics": {"ragas_faithfulness": 0.2},
            "lang": "ru",
            "details": {
                "reasoning": {"ragas_faithfulness": WORDS},
                "evidence": {"ragas_faithfulness": [WORDS]},
                "unknown_chunks": [PLANTED["e-mail"]],
                "remarks": [WORDS],
            },
        }
        for case_id in CASE_IDS
    ]
    line = {"case_id": CASE_IDS[0], "question": f"{WORDS[:159]}…", "metric": "faithfulness"}
    with engine.begin() as connection:
        connection.execute(
            insert(eval_run).values(
                id=run_id,
                trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
                user_id=user,
                subject=f"key:{user}",
                status="partial",
                mode="async",
                place="service",
                n_cases=len(results),
                error_code="LLM_FAILED",
                error_detail=WORDS,
                counts={"scored": 0, "failed": 0, "errored": len(results)},
                errors={"LLM_FAILED": len(results)},
                comparison={"worse": [line], "error": WORDS},
                created_at=datetime.now(UTC),
                finished_at=datetime.now(UTC),
                **{"config": CONFIG, **columns},
            )
        )
        connection.execute(
            insert(eval_run_case),
            [
                {
                    "run_id": run_id,
                    "position": position,
                    "case_id": one["case_id"],
                    "given": {
                        "id": one["case_id"],
                        "question": WORDS,
                        "answer": WORDS,
                        "ground_truth_answer": WORDS,
                        "contexts": [WORDS],
                        "citations": [WORDS],
                    },
                    "result": one,
                    "errored": True,
                    "flagged": True,
                }
                for position, one in enumerate(results)
            ],
        )
        connection.execute(
            insert(eval_event).values(run_id=run_id, kind="finished", data={"status": "partial"})
        )
    return run_id


def _labels(engine: Engine) -> int:
    """Draw answers and let two people differ on one whose id is personal data."""
    with engine.begin() as connection:
        answers = connection.execute(
            text(
                "select max(e.id) from rag_bench.evaluation e where e.tier = '3' "
                "and e.kind = 'answers' and e.generation_model = 'simulator/sim-weak'"
            )
        ).scalar_one()
        guideline = keep_guideline(connection, METRIC, "Solved?")
    drawn = draw(engine, answers, METRIC, guideline, size=1000)
    with engine.begin() as connection:
        for case in drawn.cases:
            for who, value in (("anna", 5.0), ("boris", 1.0)):
                label_case(connection, drawn, case, value, who, note=WORDS)
    return drawn.id


def everything(parts: Iterable[Any]) -> str:
    """Return values as one text, for a search."""
    return "\n".join(
        one if isinstance(one, str) else json.dumps(one, ensure_ascii=False, default=str)
        for one in parts
    )

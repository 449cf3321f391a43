"""Every command of ``docs/guide_commands.md`` is run, in its order, against local providers.

The lists of ten models are cut to their first two: what a list does does not depend on its length,
and the page's full sweep would take minutes.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import Ended, RagBench
from local_provider import LocalAssistant, LocalProvider, serving
from sqlalchemy import Engine, text
from world_data import PAIRS, TRAFFIC, plain_dump, write_data

from rag_bench.settings import PROJECT_ROOT
from rag_bench.simulator.answer_key import answer_key_from_database
from rag_bench.simulator.models import Gate, Generator, Judge
from rag_bench.simulator.roster import Catalogue
from rag_bench.store import snapshots

pytestmark = pytest.mark.long

PAGE = PROJECT_ROOT / "docs" / "guide_commands.md"
DUMP = "data/dumps/virtassist_backup_20260213.dump"
GENERATORS = ("m1", "m2", "m_base", "deepseek-chat", "mistral-small-latest", "open-mistral-nemo")
JUDGES = ("j1", "j2", "j_base", "openai/gpt-4o-mini", "openai/gpt-4.1-mini", "qwen-turbo")
GATES = ("p1", "p2", "p_base", "mistral-medium-latest", "mistral-large-latest")
KEYS = {name: f"sk-planted-{name}" for name in ("mistral", "openrouter", "deepseek", "alibaba")}


def commands() -> list[list[str]]:
    """The page's ``rag-bench`` lines as lists of arguments."""
    blocks = re.findall(r"```bash\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    found = [shlex.split(line) for line in lines if line.strip()]
    assert all(words[0] == "rag-bench" for words in found)
    return [words[1:] for words in found]


def shortened(arguments: list[str]) -> list[str]:
    """The same command with at most two models of a list.

    A simulated model is a generator or a production judge; the guide has one name for both.
    """
    words = [",".join(word.split(",")[:2]) if word.count(",") > 2 else word for word in arguments]
    if "--production-judge-models" in words:
        place = words.index("--production-judge-models") + 1
        words[place] = words[place].replace("mistral-small-latest", "mistral-large-latest")
    return words


def served() -> Catalogue:
    """The offline models under the names of the guide; a name may serve in one role only."""
    by_type = {
        kind: next(m for m in Catalogue().models if isinstance(m, kind))
        for kind in (Generator, Judge, Gate)
    }
    named = ((GENERATORS, Generator), (JUDGES, Judge), (GATES, Gate))
    return Catalogue(
        tuple(replace(by_type[kind], name=name) for names, kind in named for name in names)
    )


#: Commands with a server: `db` has the next test, `dashboard` the tests of the dashboard.
OF_THEIR_OWN = ("db", "dashboard")


@pytest.fixture
def providers(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalProvider]:
    """The guide's four providers, all on one local server, with the roles' own variables."""
    key = answer_key_from_database
    with LocalProvider(lambda: key(engine), catalogue=served()).serving() as server:
        for name, secret in KEYS.items():
            upper = name.upper()
            # Addresses that differ, as those of real providers do; "/" at the end is cut.
            monkeypatch.setenv(f"PROVIDER_{upper}_API_KEY", secret)
            base = server.url.replace("127.0.0.1", "localhost") if name == "mistral" else server.url
            monkeypatch.setenv(f"PROVIDER_{upper}_BASE_URL", base)
        monkeypatch.delenv("PROVIDER_DEEPSEEK_BASE_URL")
        monkeypatch.setenv("PROVIDER_DEEPSEEK_API_URL", f"{server.url}/chat/completions")
        for variable, names in {
            "MISTRAL_GEN_MODELS": "open-mistral-nemo",
            "DEEPSEEK_GEN_MODELS": "deepseek-chat",
            "MISTRAL_JUDGE_MODELS": "mistral-medium-latest,mistral-large-latest",
            "OPENROUTER_BM_JUDGE_MODELS": "openai/gpt-4o-mini",
            "ALIBABA_BM_JUDGE_MODELS": "qwen-turbo",
            "GENERATION_MODEL": "mistral/m_base",
            "BENCHMARKS_JUDGE_MODEL": "openrouter/j_base",
            "JUDGE_MODEL": "mistral/p_base",
        }.items():
            monkeypatch.setenv(variable, names)
        # Whose bare names are, by role:
        for variable in ("GENERATION_API_URL", "JUDGE_BASE_URL", "BENCHMARKS_JUDGE_BASE_URL"):
            monkeypatch.setenv(variable, server.url.replace("127.0.0.1", "localhost"))
        yield server


@pytest.fixture
def assistant(engine: Engine) -> Iterator[LocalAssistant]:
    """The guide's live assistant, over whatever dump is loaded."""

    def chunks() -> Sequence[snapshots.ChunkRecord]:
        return snapshots.chunks_of(engine, snapshots.require_current(engine).sha256)

    with serving(chunks) as assistant:
        yield assistant


def test_every_command_of_the_guide(
    rag_bench: RagBench,
    engine: Engine,
    providers: LocalProvider,
    assistant: LocalAssistant,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    quick_encoder: None,
) -> None:
    # Not a home of the test's own: converting the encoder's weights takes long.
    monkeypatch.setenv("RAG_BENCH_HOME", str(PROJECT_ROOT / ".rag_bench"))
    write_data(tmp_path / "data")
    (tmp_path / "work/data/dumps").mkdir(parents=True)
    (tmp_path / "work" / DUMP).write_text(plain_dump(), encoding="utf-8")
    ended: dict[int, Ended] = {}
    for number, arguments in enumerate(commands()):
        if arguments[0] in OF_THEIR_OWN:
            continue
        with monkeypatch.context() as patch:
            if arguments[0] == "target":  # the other commands of the guide know no assistant
                patch.setenv("TARGET_DESK_URL", assistant.url)
            result = rag_bench(*shortened(arguments))
        assert result.code == 0, f"{arguments}\n{result.err[-1500:]}"
        ended[number] = result
    assert len(ended) == sum(arguments[0] not in OF_THEIR_OWN for arguments in commands())

    first = {tuple(arguments[:2]): n for n, arguments in reversed(list(enumerate(commands())))}
    coverage = ended[first["generate-embeddings", "--check-coverage"]].out
    assert "100" in coverage
    dataset = json.loads((tmp_path / "work/reports/dataset_synthetic.json").read_text("utf-8"))
    assert {"id", "question", "ground_truth_answer", "chunk_id", "confluence_url"} <= set(
        dataset[0]
    )
    assert (tmp_path / "work/reports/dataset_for_annotation_full.json").is_file()
    for name in ("utilization_full", "real_users_domain_analysis_full"):
        assert json.loads((tmp_path / f"work/reports/{name}.json").read_text("utf-8"))
    users = json.loads(
        (tmp_path / "work/reports/real_users_domain_analysis_full.json").read_text("utf-8")
    )
    assert users["total_questions"] == len(TRAFFIC)
    assert list((tmp_path / "reports").glob("rag_benchmark_*.json"))
    with engine.connect() as connection:
        asked = {
            tuple(row)
            for row in connection.execute(
                text("select distinct role, provider || '/' || model from rag_bench.llm_call")
            )
        }
        gates = set(
            connection.execute(
                text(
                    "select distinct production_judge_model from rag_bench.evaluation where "
                    "tier = 'judge_pipeline' and (metrics #>> '{accuracy,n_expected}')::int = :n"
                ),
                {"n": len(PAIRS)},
            ).scalars()
        )
    assert ("generation", "deepseek/deepseek-chat") in asked
    assert ("production_judge", "mistral/mistral-medium-latest") in asked
    assert ("benchmark_judge", "openrouter/openai/gpt-4o-mini") in asked
    assert ("benchmark_judge", "alibaba/qwen-turbo") in asked
    assert {"mistral/p1", "mistral/p_base"} <= gates


def test_the_server_is_started_and_stopped(
    rag_bench: RagBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAG_BENCH_DATABASE_URL")
    monkeypatch.delenv("RAG_BENCH_DAGSTER_DATABASE_URL")
    run = [arguments for arguments in commands() if arguments[0] == "db"]
    assert run == [["db", "start"], ["db", "stop"]]
    started, stopped = (rag_bench(*arguments) for arguments in run)
    try:
        assert started.code == 0, started.err
        assert "postgresql://" in started.out
        assert stopped.out == "stopped\n"
    finally:
        rag_bench("db", "delete", "--yes")

"""schemathesis plays a client of the description: no server error, no hole, all documented."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import contract_hooks
import pytest
from api_access import a_key
from api_served import serving
from measured import store_sweep
from sqlalchemy import Engine

from rag_bench.api.app import build

pytestmark = pytest.mark.long

#: Seconds, against a hang: what it asks, always the same, takes about one minute of two cores.
MOST_SECONDS = 600
HOOKS = Path(contract_hooks.__file__).parent
CONFIG = Path(__file__).with_name("schemathesis.toml")


def test_the_service_does_what_its_description_says(
    engine: Engine, database_url: str, dagster_storage: str, tmp_path: Path
) -> None:
    store_sweep(engine)
    key = a_key(engine, ["read", "run", "label", "admin"], per_minute=1_000_000)
    strangers = ("API_REFUSED_PER_MINUTE", "HOOK_REQUESTS_PER_MINUTE")
    more = {f"RAG_BENCH_{name}": "1000000" for name in strangers}
    with serving(database_url, dagster_storage, tmp_path, **more) as served:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG)),
                *("run", f"{served.url}/openapi.json"),
                *("-H", f"Authorization: Bearer {key}", "--checks", "all", "--no-color"),
                *("--seed", "1", "--generation-deterministic"),
                *("--max-examples", "10", "--request-timeout", "60", "--warnings", "off"),
            ],
            cwd=tmp_path,
            env={**os.environ, "SCHEMATHESIS_HOOKS": "contract_hooks", "PYTHONPATH": str(HOOKS)},
            capture_output=True,
            text=True,
            timeout=MOST_SECONDS,
        )
        log = served.log.read_text(encoding="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr
    total = sum(map(len, build(engine).openapi()["paths"].values()))
    assert f"Operations:       {total} selected / {total} total" in done.stdout
    assert " generated, " in done.stdout
    assert "Traceback" not in log

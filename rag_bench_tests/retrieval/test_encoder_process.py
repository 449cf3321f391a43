"""The encoder in a process of its own: the same vectors, an end that is told, no orphan."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from rag_bench.errors import ConfigurationError, RagBenchError
from rag_bench.retrieval import encoder_process as module
from rag_bench.retrieval.encoder import load_encoder
from rag_bench.retrieval.encoder_process import EncoderProcess, encoder_process, running_process
from rag_bench.settings import Settings

# What it is about is that a process does as this one, when it ends and what is said of it; both
# compute by the same kernels, whosever they are, and each of these loads an encoder or two.
pytestmark = pytest.mark.once

TEXTS = ["привет", "как дела?", "очень длинный вопрос студента", "hello"]


@pytest.fixture
def settings(tiny_model: Path, tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, encoder=str(tiny_model))


@pytest.fixture
def process(settings: Settings) -> Iterator[EncoderProcess]:
    made = EncoderProcess(settings)
    yield made
    made.close()


def test_it_encodes_as_the_encoder_here_does(process: EncoderProcess, settings: Settings) -> None:
    here, told = load_encoder(settings), list[tuple[int, int]]()
    assert (process.key, process.name) == (here.key, here.name)
    ours = here.encode(TEXTS)
    theirs = process.encode(TEXTS, lambda done, total: told.append((done, total)))
    np.testing.assert_allclose(theirs.vectors, ours.vectors, atol=2e-6)
    assert theirs.n_tokens.tolist() == ours.n_tokens.tolist()
    assert theirs.truncated.tolist() == ours.truncated.tolist() == [False, False, True, False]
    assert told[-1] == (4, 4)
    assert process.encode([]).vectors.shape == (0, 16)


def test_beside_calls_it_is_the_same_encoder(process: EncoderProcess) -> None:
    beside = process.beside_calls
    assert (beside.key, beside.name) == (process.key, process.name)
    alone, busy, again = (one.encode(TEXTS).vectors for one in (process, beside, process))
    np.testing.assert_allclose(busy, alone, atol=2e-6)
    np.testing.assert_allclose(again, alone, atol=2e-6)


def test_a_killed_one_says_so_and_the_next_is_another(settings: Settings) -> None:
    killed = encoder_process(settings)
    assert encoder_process(settings) is killed is running_process(settings)
    assert killed.encode(TEXTS).vectors.shape == (4, 16)
    os.kill(killed.pid, signal.SIGKILL)
    with pytest.raises(RagBenchError, match=r"ended by SIGKILL.*kept: run again"):
        killed.encode(TEXTS)
    with pytest.raises(RagBenchError, match="ended by SIGKILL"):  # and again, not something else
        killed.encode(TEXTS)
    assert running_process(settings) is None
    another = encoder_process(settings)
    assert another.encode(TEXTS).vectors.shape == (4, 16)
    module.close_process()
    assert not psutil.pid_exists(another.pid)


def test_what_cannot_be_loaded_is_said_as_it_is_here(tmp_path: Path, tiny_model: Path) -> None:
    process = EncoderProcess(
        Settings(home=tmp_path, encoder=str(tiny_model), encoder_max_tokens=99)
    )
    with pytest.raises(ConfigurationError, match="RAG_BENCH_ENCODER_MAX_TOKENS is 99"):
        process.encode(TEXTS)
    process.close()


def test_it_ends_with_the_process_that_started_it(settings: Settings) -> None:
    """However that ends: by kill -9, with nobody to close anything."""
    code = (
        "import sys, time; from rag_bench.settings import Settings\n"
        "from rag_bench.retrieval.encoder_process import encoder_process\n"
        f"process = encoder_process(Settings(home={str(settings.home)!r}, "
        f"encoder={settings.encoder!r}))\n"
        "print(process.key and process.pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    child.wait(timeout=60)


def test_settings_are_not_mixed_and_one_is_enough(
    settings: Settings, tmp_path: Path, tiny_model: Path
) -> None:
    first = encoder_process(settings)
    other = Settings(home=tmp_path / "other", encoder=str(tiny_model), encoder_max_tokens=8)
    second = encoder_process(other)
    assert running_process(settings) is None
    assert not first.alive
    assert second.key != load_encoder(settings).key
    module.close_process()


def test_closing_ends_work_in_hand(process: EncoderProcess) -> None:
    from concurrent.futures import ThreadPoolExecutor

    assert process.key
    with ThreadPoolExecutor(1) as pool:
        long = pool.submit(process.encode, [f"вопрос {n}" for n in range(100_000)])
        while not process._busy.locked() and not long.done():
            time.sleep(0.01)
        process.close()
        with pytest.raises(RagBenchError, match="The process that encodes texts ended"):
            long.result(timeout=60)
    assert not process.alive


def test_what_an_interrupted_request_leaves_answers_no_other(settings: Settings) -> None:
    """Vectors of other texts would be stored, and nothing would tell."""
    process = encoder_process(settings)

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        process.encode([f"вопрос {n}" for n in range(50)], interrupt)
    assert not process.alive
    again = encoder_process(settings)
    ours = load_encoder(settings).encode(TEXTS)
    np.testing.assert_allclose(again.encode(TEXTS).vectors, ours.vectors, atol=2e-6)
    module.close_process()

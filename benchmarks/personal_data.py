"""How long it takes to find personal data: questions per second, and reading the public names.

    python benchmarks/personal_data.py [--questions 5000] [--chunks 100000]

The questions are the demo's traffic, every fifth with a planted sentence behind it; the chunks are
the demo's, repeated, each with a name of its own.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from pathlib import Path

from rag_bench.demo.corpus import read_corpus, read_phrasings
from rag_bench.privacy.masking import mask_all, prepare
from rag_bench.privacy.public_names import PublicNames
from rag_bench.settings import PROJECT_ROOT

sys.path.insert(0, str(PROJECT_ROOT / "rag_bench_tests" / "support"))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--questions", type=int, default=5_000)
    parser.add_argument("--chunks", type=int, default=100_000)
    wanted = parser.parse_args()
    from planted_data import LANGUAGES, sentences

    data = Path(PROJECT_ROOT) / "data"
    corpus = read_corpus(data)
    asked = [phrasing.text for phrasing in read_phrasings(data, corpus)]
    planted = [one.text for language in LANGUAGES for one in sentences(language)]
    # No two alike: equal texts are read once.
    questions = [
        f"{asked[i % len(asked)]} ({i})" + (f" {planted[i % len(planted)]}" if i % 5 == 0 else "")
        for i in range(wanted.questions)
    ]
    texts = [text for _, text in corpus.chunks()]
    chunks = [f"{texts[i % len(texts)]} Зоркин{i} Глеб Ильич" for i in range(wanted.chunks)]
    started = time.perf_counter()
    prepare()
    _say("loading", started, 1)
    started = time.perf_counter()
    mask_all(questions)
    _say("masking", started, len(questions))
    started = time.perf_counter()
    public = PublicNames(chunks)
    _say("reading the public names", started, len(chunks))
    started = time.perf_counter()
    mask_all(questions, public)
    _say("masking beside them", started, len(questions))


def _say(what: str, started: float, n: int) -> None:
    seconds = time.perf_counter() - started
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{what:28} {seconds:8.2f} s {n / seconds:10.0f} a second {memory:8.0f} MB at most")


if __name__ == "__main__":
    main()

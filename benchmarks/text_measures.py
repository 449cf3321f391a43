"""How well each measure of texts tells a gold sentence from another one, per language.

    python benchmarks/text_measures.py [--xquad FOLDER] [--sentences 300] [--similarity]

The area under the ROC curve: of the gold sentence with words left out, moved or changed, cut or
beside its neighbours, against other sentences of its page. Languages of XQuAD files
(``xquad.<language>.json``) in the folder, and made-up sentences of others. Measures below .95 for
a language are not to be published for it. ``--similarity`` encodes the texts too, which takes
minutes.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import scratch  # noqa: F401 (makes the tests' modules importable)
from sample_sentences import SENTENCES
from sentence_pairs import LEAST_AREA, areas, sample_pages, xquad_pages

from rag_bench.evaluation.metrics.text_overlap import text_overlaps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--xquad", type=Path, help="a folder with xquad.<language>.json")
    parser.add_argument("--sentences", type=int, default=300, help="of each language of XQuAD")
    parser.add_argument("--similarity", action="store_true", help="semantic_similarity too")
    arguments = parser.parse_args()

    pages = {f"{language} (made up)": sample_pages(language) for language in SENTENCES}
    for path in sorted(arguments.xquad.glob("xquad.*.json")) if arguments.xquad else ():
        pages[path.suffixes[0][1:]] = xquad_pages(path, arguments.sentences)
    for language, found in pages.items():
        table = areas(found, text_overlaps)
        if arguments.similarity:
            table |= areas(found, similarities)
        print(f"\n{language}: {sum(map(len, found))} sentences on {len(found)} pages")
        columns = list(next(iter(table.values())))
        print(f"{'measure':<22}" + "".join(f"{name:>22}" for name in columns))
        for measure, row in table.items():
            values = [row[name] for name in columns]
            shown = "".join(f"{'withheld' if v is None else f'{v:.3f}':>22}" for v in values)
            low = row["all"] is not None and row["all"] < LEAST_AREA
            print(f"{measure:<22}{shown}{'  BELOW' if low else ''}")


def similarities(
    answers: Sequence[str], references: Sequence[str]
) -> list[Mapping[str, float | None]]:
    """Return the cosine of each pair by the encoder of the settings; both sides as questions."""
    from rag_bench.evaluation.metrics.similarity import vector_similarities
    from rag_bench.retrieval.encoder import load_encoder
    from rag_bench.settings import get_settings

    encoder = load_encoder(get_settings())
    texts = sorted({*answers, *references})
    exact = [encoder.identity.query_text(text) for text in texts]
    vectors = dict(zip(texts, encoder.encode(exact).vectors, strict=True))
    found = vector_similarities(
        [vectors[text] for text in answers], [vectors[text] for text in references]
    )
    return [{"semantic_similarity": row["semantic_similarity"]} for row in found]


if __name__ == "__main__":
    main()

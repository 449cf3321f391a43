"""A library is imported without what it only looks for in passing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rag_bench.evaluation.metrics.text_overlap import _without as without


def test_what_is_hidden_is_there_again() -> None:
    import json

    with without("json", "colorsys"):
        with pytest.raises(ImportError):
            import json
        with pytest.raises(ImportError):
            import colorsys
    assert sys.modules["json"] is json
    import colorsys

    assert colorsys.rgb_to_hsv(0, 0, 0) == (0, 0, 0)


@pytest.mark.once  # of imports
def test_measures_of_overlap_load_no_classifiers() -> None:
    code = (
        "import sys\n"
        "from rag_bench.evaluation.metrics.text_overlap import text_overlaps\n"
        "[found] = text_overlaps(['кошка спит'], ['кошка спит'])\n"
        "assert found['rougeL_f'] == 1.0\n"
        "assert not {'sklearn', 'pandas', 'scipy.stats'} & set(sys.modules)\n"
        "import scipy.stats, sklearn\n"
        "assert scipy.stats.norm.cdf(0) == 0.5\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

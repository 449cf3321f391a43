"""Everything that the environment decides, read once and typed.

Secrets (provider keys, database passwords) enter the program here and nowhere else; they are
never put into run config, metadata, logs or the ledger.
"""

from __future__ import annotations

import os
import re
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from dotenv import load_dotenv
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from rag_bench.errors import ConfigurationError
from rag_bench.searches import IN_WORDS, Search

PROJECT_ROOT = Path(__file__).resolve().parent.parent
MODELS_ENV_FILE = ".env.benchmark-models"


class Settings(BaseSettings):
    """Typed settings; each field is the environment variable ``RAG_BENCH_<FIELD>``."""

    model_config = SettingsConfigDict(env_prefix="RAG_BENCH_", extra="ignore", frozen=True)

    home: Path = Field(default=PROJECT_ROOT / ".rag_bench", description="State of this machine.")
    database_url: str | None = Field(
        default=None, description="A PostgreSQL of your own; unset: the embedded one."
    )
    dagster_database_url: str | None = Field(
        default=None, description="Where Dagster keeps runs and events; unset: beside ours."
    )
    data_dir: Path = Field(default=PROJECT_ROOT / "data")
    dumps_dir: Path | None = Field(default=None, description="Unset: data_dir/dumps.")
    dump_left_out: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="Share of a table's rows that may be unusable; a dump with more is refused.",
    )
    ratings: Literal["auto", "1-5", "0-5", "1-10", "0-10", "thumbs", "0-1", "percent"] = Field(
        default="auto", description="Scale of users' ratings; auto: told from the ratings."
    )
    reports_dir: Path = Field(
        default=PROJECT_ROOT / "reports", description="Unset: reports in home, if that is set."
    )

    encoder: str = Field(
        default="intfloat/multilingual-e5-small",
        description="sentence-transformers name or local folder; the default needs no download.",
    )
    encoder_batch_size: int = Field(default=32, ge=1)
    encoder_max_tokens: int | None = Field(
        default=None, description="Unset: the model's own limit."
    )

    top_k: int = Field(default=10, ge=1, description="Chunks retrieved for tier 1.")
    search: Search = Field(default="exact", description=f"{IN_WORDS}.")
    contexts_per_answer: int = Field(
        default=3, ge=1, description="Chunks given to the generator in tier 3; production used 1."
    )
    retrieval_threshold: float = Field(
        default=0.0, description="Least cosine similarity of a chunk given to the generator."
    )

    retrievers: Path | None = Field(
        default=None, description="Retrievers by name, TOML; unset: those that come with this."
    )

    cache_threshold: float = Field(
        default=0.85,
        ge=-1,
        le=1,
        description="Least cosine similarity at which a question counts as one rated 5 before.",
    )

    concurrency: int = Field(default=16, ge=1, description="Calls in flight per provider.")
    call_timeout_seconds: float = Field(default=120.0, gt=0)
    connect_timeout_seconds: float = Field(default=10.0, gt=0)
    max_retries: int = Field(
        default=4, ge=0, description="Of a call, on 5xx and lost links; a 429 is waited for."
    )
    max_tokens_generation: int | None = Field(
        default=None, ge=1, description="Of a generator's reply; unset: 512."
    )
    max_tokens_benchmark_judge: int | None = Field(
        default=None, ge=1, description="Of a judge's reply; unset: 256, with its reasoning 1,024."
    )
    max_tokens_production_judge: int | None = Field(
        default=None, ge=1, description="Of the gate's reply; unset: 256."
    )
    max_tokens_dataset: int | None = Field(
        default=None, ge=1, description="Of a question writer's or critic's reply; unset: 768, 512."
    )
    ca_file: Path | None = Field(
        default=None, description="Certificates to trust beside the usual ones, PEM."
    )
    reask_unreadable: Literal["judges", "all", "none"] = Field(
        default="judges",
        description="Who is asked once more where a reply cannot be read: benchmark judges; all, "
        "with question writer and critics; nobody.",
    )
    prices: Path | None = Field(
        default=None, description="Prices per provider and model, TOML or JSON; unset: unknown."
    )

    ragas_language: Literal["auto", "ru", "en"] = Field(
        default="auto", description="Of RAGAS' prompts; auto: by the questions' letters."
    )

    custom_metrics: str = Field(
        default="",
        description="Metrics of your own, name=target, separated by commas; docs/metrics.md.",
    )
    bertscore_model: str = Field(
        default="",
        description="Folder of a transformers model, or encoder; unset: no BERTScore.",
    )
    bertscore_layers: int | None = Field(
        default=None, ge=1, description="Unset: three quarters of the model's layers."
    )

    gate: Path | None = Field(
        default=None,
        description="Rules of the release gate, TOML; unset: rubric_e2e_quality alone decides.",
    )
    gate_max_calls: int | None = Field(
        default=1000,
        ge=0,
        description="Calls that the gate may make to ask again before it blocks.",
    )
    gate_max_cost_usd: float | None = Field(
        default=None, ge=0, description="Money for that; unset: no limit."
    )

    api_max_body_bytes: int = Field(
        default=32 << 20, ge=1, description="Of a request to the API; a longer one is refused."
    )
    api_max_depth: int = Field(
        default=32,
        ge=1,
        le=200,
        description="Objects and lists inside each other in a request's JSON.",
    )
    api_body_seconds: float = Field(
        default=60.0, gt=0, le=3600, description="Most that a request's body is waited for."
    )
    api_requests_per_minute: int = Field(
        default=600, ge=1, description="Of a key or a token's user; a key may have its own number."
    )
    api_refused_per_minute: int = Field(
        default=60, ge=1, description="Requests of one address without a good key or token."
    )
    api_proxies: str = Field(
        default="",
        description="Addresses of proxies whose X-Forwarded-For is believed, by commas.",
    )
    eval_wait_seconds: float = Field(
        default=60.0, gt=0, le=3600, description="Most that a request waits for its run."
    )
    api_warm: bool = Field(
        default=True,
        description="When the service starts, load what runs need (RAGAS, the encoder, Dagster), "
        "and look once at each tab of a dashboard beside it.",
    )
    eval_seconds_per_case: float = Field(
        default=0.05,
        gt=0,
        description="Assumed of a case beside its calls, where nothing like it ran lately.",
    )
    assumed_latency_seconds: float = Field(
        default=3.0,
        gt=0,
        description="Assumed of a call, where none of its model or provider was ever timed.",
    )
    eval_wait_cases: int = Field(
        default=100, ge=0, description="A run of so many cases at most is waited for."
    )
    eval_wait_most_cases: int = Field(
        default=1000, ge=0, description="One of more is never waited for; between: by an estimate."
    )
    eval_max_cases: int = Field(
        default=20_000, ge=1, description="Of a run of the service; one with more is refused."
    )
    eval_max_question_chars: int = Field(
        default=500, ge=1, description="Characters of a case's question."
    )
    eval_max_answer_tokens: int = Field(
        default=1000, ge=1, description="Tokens, by the encoder, of a case's right answer."
    )
    eval_max_file_bytes: int = Field(
        default=128 << 20, ge=1, description="Of a file of cases that is read on this machine."
    )
    eval_results: Path = Field(
        default=PROJECT_ROOT / "eval_results",
        description="Folder of runs' results; unset: eval_results in home, if that is set.",
    )
    eval_review_below: str = Field(
        default="ragas_faithfulness=0.5",
        description="A case with a lower score is to be looked at: metric=least, by commas.",
    )
    eval_review_disagreement: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="So far apart, a judge's measure of contexts and the one by ids disagree.",
    )
    eval_files: Path | None = Field(
        default=None,
        description="Folder below which path_to_file may name JSONL; unset: none may.",
    )
    jwt_jwks: str = Field(
        default="", description="Public keys of RS256 and ES256 tokens: a JWKS file or address."
    )
    eval_runs_in_service: int = Field(
        default=4, ge=1, description="Runs that one process of the service executes at once."
    )
    eval_runs_in_dagster: int = Field(
        default=2, ge=1, description="Runs of the service that Dagster is given at once."
    )
    eval_runs_at_once: int = Field(
        default=3, ge=1, description="Runs of one key or user at work; further ones wait."
    )
    eval_runs_open: int = Field(
        default=2000, ge=1, description="Runs of one key or user that wait or are at work."
    )
    eval_calls_per_day: int | None = Field(
        default=100_000, ge=0, description="Calls of models for one key or user, by UTC."
    )
    eval_cost_usd_per_day: float | None = Field(
        default=None, ge=0, description="Money for one key or user, by UTC; unset: no limit."
    )
    self_test_runs: int = Field(
        default=2000, ge=1, description="Simulations of each line of the self-test."
    )
    self_test_faults: str = Field(
        default="all",
        description="Faults that the self-test plants: all, none, or names separated by commas.",
    )
    callback_days: int = Field(
        default=90,
        ge=1,
        description="Days for which deliveries of callbacks, and what was received of hooks, are "
        "listed; what waits still is kept.",
    )
    eval_partitions: int = Field(
        default=500, ge=1, description="Runs that Dagster lists; the table keeps every run."
    )
    jwt_secret: SecretStr | None = Field(
        default=None, description="Of HS256 tokens; unset: those are refused."
    )
    jwt_algorithms: str = Field(
        default="", description="Unset: all for which there are keys: RS256, ES256, HS256."
    )
    jwt_issuer: str = Field(default="", description="What a token's iss must be.")
    jwt_audience: str = Field(default="", description="What a token's aud must hold one of.")
    jwt_scopes_claim: str = Field(
        default="scope", description="Claim with scopes or roles; a.b is b inside a."
    )
    jwt_user_claim: str = Field(default="sub", description="Claim that says who it is.")
    jwt_leeway_seconds: int = Field(default=30, ge=0, le=300, description="For exp and nbf.")
    outgoing_allowed: str = Field(
        default="",
        description="Names, addresses, networks that may be fetched though they are private.",
    )
    webhook_secret: SecretStr | None = Field(
        default=None,
        description="Signs callbacks: whsec_…, several by commas; unset: no callbacks.",
    )
    hook_secret: SecretStr | None = Field(
        default=None,
        description="Signs hooks that are received: whsec_…, several by commas; unset: no hooks.",
    )
    hook_requests_per_minute: int = Field(
        default=60, ge=1, description="Requests of one address to the hooks."
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="Of the API's log; json: one object a line."
    )

    owners: str = Field(
        default="team:assistant",
        description="Of all assets, in the UI: e-mail addresses or team:NAME, by commas.",
    )

    @field_validator("owners")
    @classmethod
    def _owners_as_dagster_takes_them(cls, value: str) -> str:
        for owner in filter(None, map(str.strip, value.split(","))):
            if not re.fullmatch(r"team:[\w.-]+|[^@\s]+@[^@\s]+\.[^@\s]+", owner):
                raise ValueError(f"{owner!r} is neither an e-mail address nor team:NAME")
        return value

    @cached_property
    def asset_owners(self) -> list[str]:
        """The owners of the assets, one by one."""
        return [owner.strip() for owner in self.owners.split(",") if owner.strip()]

    @model_validator(mode="before")
    @classmethod
    def _empty_is_unset(cls, given: dict[str, Any]) -> dict[str, Any]:
        """An empty folder would be the current one, and an empty number is none; texts may be."""
        texts = {name for name, field in cls.model_fields.items() if field.annotation is str}
        return {name: value for name, value in given.items() if value != "" or name in texts}

    @model_validator(mode="before")
    @classmethod
    def _reports_follow_home(cls, given: dict[str, Any]) -> dict[str, Any]:
        home = given.get("home")
        for name, folder in (("reports_dir", "reports"), ("eval_results", "eval_results")):
            if home and not given.get(name):
                given = {**given, name: Path(home) / folder}
        return given

    @cached_property
    def dumps(self) -> Path:
        """The folder that is watched for dumps."""
        return self.dumps_dir or self.data_dir / "dumps"


def load_environment(root: Path | None = None) -> None:
    """Read ``.env`` and ``.env.benchmark-models``; variables already set win.

    Looks in the current folder first, then in the project's. ``RAG_BENCH_ENV_FILES=0`` reads
    neither.
    """
    if os.environ.get("RAG_BENCH_ENV_FILES") == "0":
        return
    for folder in (root or Path.cwd(), PROJECT_ROOT):
        for name in (".env", MODELS_ENV_FILE):
            load_dotenv(folder / name, override=False)


def get_settings() -> Settings:
    """Read the settings from the environment, as it is now.

    Raises:
        ConfigurationError: a variable has a value that it cannot have.
    """
    load_environment()
    try:
        return Settings()
    except ValidationError as error:
        problems = "; ".join(
            f"RAG_BENCH_{'_'.join(str(part) for part in problem['loc']).upper()}: {problem['msg']}"
            for problem in error.errors(include_input=False, include_url=False)
        )
        raise ConfigurationError(f"The environment has impossible values. {problems}") from None

"""Typed settings, read once in each process's ``main`` and handed down.

Order of precedence: arguments, ``ARKWRIGHT_*`` in the environment, ``.env``, ``arkwright.toml``, the defaults
here. The ``ML_*`` names of older deployments are read as aliases.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from arkwright.core.errors import Invalid

# A unix socket's path may hold 107 bytes on Linux and 103 on macOS; the longest name we add is "/mlflow.sock".
_LONGEST_SOCKET_DIR = 90
_NOT_IN_A_PATH = ("?", "#", "::", "\n", "\r")


def _also(name: str, other: str) -> AliasChoices:
    """Read a setting under its own name or an older deployment's; never under its bare name, which may be HOME."""
    return AliasChoices(f"ARKWRIGHT_{name}", other)


class Settings(BaseSettings):
    """Everything a process can be told from outside.

    URLs left empty mean the embedded default below ``home``.
    """

    model_config = SettingsConfigDict(
        env_prefix="ARKWRIGHT_",
        env_file=".env",
        populate_by_name=True,
        toml_file="arkwright.toml",
        extra="ignore",
        validate_default=True,
        hide_input_in_errors=True,
    )

    home: Path = Field(Path("arkwright-data"), description="The data folder.")
    env: str = Field("local", validation_alias=_also("ENV", "ML_ENV"), description="Name of the environment.")
    host: str = Field("127.0.0.1", description="Address of the public port.")
    port: int = Field(8585, ge=0, le=65535, description="The public port.")
    database_url: str = Field("", description="Control-plane database.")
    jobs_database_url: str = Field("", description="Job engine's store.")
    objects_url: str = Field("", description="Where datasets and bundles lie.")
    tracking_url: str = Field("", description="Your own MLflow server; empty: ours.")
    tracking_token: SecretStr = Field(SecretStr(""), description="Bearer token for your MLflow server.")
    mlflow_backend_url: str = Field(
        "", validation_alias=_also("MLFLOW_BACKEND_URL", "ML_MLFLOW_BACKEND_DSN"), description="Store of our MLflow."
    )
    mlflow_artifacts_url: str = Field(
        "", validation_alias=_also("MLFLOW_ARTIFACTS_URL", "ML_MLFLOW_ARTIFACT_URI"), description="Its artifact root."
    )
    tracing_enabled: bool = Field(
        False, validation_alias=_also("TRACING_ENABLED", "ML_TRACING_ENABLED"), description="Send spans over OTLP."
    )
    tracing_sample_percent: float = Field(
        100.0, ge=0, le=100, description="Share of the requests recorded where the caller did not decide."
    )
    otlp_endpoint: str = Field(
        "http://127.0.0.1:4318",
        validation_alias=_also("OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        description="Collector of the spans.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info")
    allowed_roots: list[Path] = Field(
        default_factory=list,
        description="Folders from which a request may name a server-side path.",
    )
    max_upload_bytes: int = Field(5_000_000_000, ge=1)
    predict_max_body_bytes: int = Field(8_000_000, ge=1)
    predict_max_rows: int = Field(10_000, ge=1, description="Rows a request.")
    predict_max_in_flight: int = Field(256, ge=1)
    prediction_log_max_bytes: int = Field(
        2_000_000_000, ge=1_000_000, description="Prediction log on a data plane's disk that was not shipped yet."
    )
    predict_timeout_seconds: float = Field(10.0, gt=0, description="Longest time a model may take for a request.")
    micro_batch_max_rows: int = Field(
        256,
        ge=1,
        validation_alias=_also("MICRO_BATCH_MAX_ROWS", "ML_MAX_BATCH_SIZE"),
        description="Rows scored at once by a model that could not be compiled.",
    )
    micro_batch_max_queued: int = Field(1024, ge=1, description="Requests that may wait for such a model.")
    serve_workers: int = Field(1, ge=1, le=256, description="Processes of `arkwright serve`.")
    grpc_port: int = Field(0, ge=0, le=65535, description="Port of the Open Inference Protocol over gRPC; 0: off.")
    allow_pickled_models: bool = Field(
        False, description="Whether your own models may be stored as pickles, which run code when they are loaded."
    )
    evaluate_after_training: bool = Field(
        True, description="Whether a quick evaluation of each trained version follows its training."
    )
    evaluation_retention_days: int = Field(
        180, ge=0, le=36_500, description="Days that reports of evaluations are kept, 180 or more; 0: for ever."
    )
    comparison_retention_days: int = Field(
        90, ge=0, le=36_500, description="Days that comparisons of versions are kept, 90 or more; 0: for ever."
    )
    instance_prices: str = Field(
        "",
        description="Machines and what they cost, as JSON: a list of name, vcpus, memory_gb and usd_per_hour.",
    )
    internal_token: SecretStr = Field(
        SecretStr(""),
        description="Shared by the processes of one platform; made afresh by `arkwright up`.",
    )

    @field_validator("evaluation_retention_days", "comparison_retention_days")
    @classmethod
    def _long_enough(cls, days: int, info: ValidationInfo) -> int:
        least = 180 if info.field_name == "evaluation_retention_days" else 90
        if 0 < days < least:
            raise ValueError(f"reports have to be kept for {least} days or longer; 0 keeps them for ever")
        return days

    @field_validator("home")
    @classmethod
    def _absolute(cls, home: Path) -> Path:
        if any(mark in str(home) for mark in _NOT_IN_A_PATH):
            raise ValueError("its path may not hold '?', '#', '::' or a line break, which mean other things in a URL")
        try:
            return home.expanduser().resolve()
        except RuntimeError as error:
            raise ValueError("the home folder of its ~user is not known") from error

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put ``arkwright.toml`` below the environment."""
        return (
            init_settings,
            env_settings,
            dotenv_settings,
            file_secret_settings,
            TomlConfigSettingsSource(settings_cls),
        )

    def model_post_init(self, _context: Any, /) -> None:
        """Fill the embedded defaults, which depend on ``home``."""
        self.database_url = self.database_url or f"sqlite:///{self.home / 'arkwright.db'}"
        self.jobs_database_url = self.jobs_database_url or (
            f"sqlite:///{self.home / 'jobs.db'}" if self.database_url.startswith("sqlite") else self.database_url
        )
        self.objects_url = self.objects_url or f"file://{self.home / 'objects'}"
        self.mlflow_backend_url = self.mlflow_backend_url or f"sqlite:///{self.home / 'mlflow.db'}"
        self.mlflow_artifacts_url = self.mlflow_artifacts_url or str(self.home / "mlflow-artifacts")

    @property
    def socket_dir(self) -> Path:
        """Folder of the unix sockets: below home, or below the temp folder where home's path is too long."""
        inside = self.home / "run"
        if len(os.fsencode(inside)) <= _LONGEST_SOCKET_DIR:
            return inside
        key = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"arkwright-{os.getuid()}-{key}"

    @property
    def server_socket(self) -> Path:
        """Where the control plane listens."""
        return self.socket_dir / "server.sock"

    @property
    def mlflow_socket(self) -> Path:
        """Where the tracking server listens."""
        return self.socket_dir / "mlflow.sock"

    def child_environment(self) -> dict[str, str]:
        """Return the environment that gives a child process these same settings."""
        values: dict[str, str] = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, SecretStr):
                value = value.get_secret_value()
            if isinstance(value, list):
                value = json.dumps([str(item) for item in value])
            values[f"ARKWRIGHT_{name.upper()}"] = str(value)
        return values

    def redacted(self) -> dict[str, str]:
        """Return the effective settings as text, secrets and passwords in URLs hidden."""
        return {name: _hide(getattr(self, name)) for name in type(self).model_fields}


def load_settings(**overrides: Any) -> Settings:
    """Read the settings of this process; ``None`` overrides are as if not given.

    Raises
    ------
    Invalid
        If a value cannot be used; the message names the setting, never its value.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    hint = "Correct it in the environment, in .env or in arkwright.toml; `arkwright doctor` lists all settings."
    try:
        return Settings(**given)
    except SettingsError as error:
        # Its message names the field and the source; its cause repeats the value.
        name = next((each for each in Settings.model_fields if f'"{each}"' in str(error)), "")
        raise Invalid(
            f"The setting ARKWRIGHT_{name.upper()} cannot be read: it is a list.",
            code="settings.invalid",
            hint='Write it as JSON, such as ["/data","/mnt/data"].',
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise Invalid(f"arkwright.toml is no TOML: {error}.", code="settings.invalid", hint="Mend that line.") from None
    except (UnicodeDecodeError, OSError) as error:
        raise Invalid(
            f"The settings file .env or arkwright.toml cannot be read: {type(error).__name__}.",
            code="settings.invalid",
            hint="Both must be readable text in UTF-8.",
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "settings"
        variable = name if name.isupper() else f"ARKWRIGHT_{name.upper()}"
        raise Invalid(
            f"The setting {variable} cannot be used: {first['msg'].removeprefix('Value error, ')}.",
            code="settings.invalid",
            hint=hint,
        ) from None


def _hide(value: object) -> str:
    if isinstance(value, SecretStr):
        return "(set)" if value.get_secret_value() else "(not set)"
    text = str(value)
    scheme, found, rest = text.partition("://")
    if found and "@" in rest:
        rest = f"***@{rest.rpartition('@')[2]}"
    if found and "?" in rest:
        # A driver's options may hold a password too.
        rest = f"{rest.partition('?')[0]}?***"
    return f"{scheme}://{rest}" if found else text

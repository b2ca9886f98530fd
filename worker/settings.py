"""Every knob, with its unit and its default. The environment is read here and nowhere else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from noteflow.infrastructure.persistence.urls import parse_database_url
from noteflow.infrastructure.queue.asking import check_queue_name
from noteflow.infrastructure.queue.urls import parse_redis_url
from noteflow.infrastructure.urls import masked
from worker.http.listen import listen_at
from worker.wording import complaint_of

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

LEAST_S: Final = 0.001
"""The servers count in milliseconds, and take none for no limit at all."""

LONGEST_S: Final = 2_000_000
"""Some 23 days; PostgreSQL keeps a time limit in milliseconds, as a number of 32 bits."""

LONGEST_KEPT_S: Final = 10 * 366 * 86_400
LARGEST_COUNT: Final = 10_000


def _not_less_than_a_millisecond(seconds: float) -> float:
    if 0 < seconds < LEAST_S:
        raise ValueError(f"must be at least {LEAST_S:g} s")
    return seconds


_Resolved = AfterValidator(_not_less_than_a_millisecond)
Seconds = Annotated[float, Field(gt=0, le=LONGEST_S, allow_inf_nan=False), _Resolved]
LongSeconds = Annotated[float, Field(gt=0, le=LONGEST_KEPT_S, allow_inf_nan=False), _Resolved]
SecondsOrNone = Annotated[float, Field(ge=0, le=LONGEST_KEPT_S, allow_inf_nan=False), _Resolved]
Count = Annotated[int, Field(ge=1, le=LARGEST_COUNT)]
CountOrNone = Annotated[int, Field(ge=0, le=LARGEST_COUNT)]
Level = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


class Settings(BaseSettings):
    """What a worker is told. Each field is read from the variable of its name, in capitals; `.env` is not read."""

    # Inputs are hidden in errors because one of them may be a URL with a password.
    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    database_url: SecretStr = Field(
        default=SecretStr("postgresql://noteflow@127.0.0.1/noteflow"), description="PostgreSQL, as a URL"
    )
    redis_url: SecretStr = Field(default=SecretStr("redis://127.0.0.1:6379/0"), description="Redis or Valkey, as a URL")
    queue_name: str = Field(default="arq:queue", min_length=1, description="the sorted set that jobs wait in")
    meetings_dir: Path = Field(default=Path("meetings"), description="the folder with one folder of files a meeting")

    max_jobs: Count = Field(default=20, description="jobs that one worker process runs at once")
    job_timeout_s: Seconds = Field(default=60.0, description="one claim of a job, all its attempts together")
    retry_budget_s: Seconds = Field(default=20.0, description="after this no new attempt begins within the claim")
    drain_timeout_s: Seconds = Field(default=25.0, description="how long running jobs get after SIGTERM")
    lease_s: Seconds = Field(default=10.0, description="after this a dead worker's jobs are claimed by others")
    keep_result_s: SecondsOrNone = Field(default=3600.0, description="how long a job's result can be read")
    allow_pickle: bool = Field(default=False, description="read jobs that stock Arq producers have pickled")

    optimistic_attempts: Count = Field(default=2, description="attempts before the one that locks the meeting's row")
    bug_attempts: Count = Field(default=3, description="attempts before an unexpected error makes a dead letter")
    premature_deadline_s: LongSeconds = Field(default=900.0, description="how long a job waits for its predecessor")

    database_pool_size: CountOrNone = Field(default=0, description="connections; 0 is max_jobs and three more")
    database_pool_timeout_s: Seconds = Field(default=10.0, description="the wait for a free connection")
    database_connect_timeout_s: Seconds = Field(default=5.0, description="the wait for a new connection")
    database_command_timeout_s: Seconds = Field(default=10.0, description="the wait for one statement")
    database_lock_timeout_s: Seconds = Field(default=5.0, description="the wait for a row's lock, within one statement")
    database_idle_in_transaction_timeout_s: Seconds = Field(default=30.0, description="the longest pause within one")

    http_listen: str = Field(default="", description="host:port of /livez, /readyz and /metrics; empty is none")
    traces_endpoint: SecretStr = Field(
        default=SecretStr(""), description="an OTLP collector's URL, as http://host:4318/v1/traces; empty is none"
    )
    log_level: Level = Field(default="INFO", description="the least that is logged")
    log_format: Literal["json", "console"] = Field(
        default="json", description="one JSON object a line, or lines for eyes"
    )

    @field_validator("database_url")
    @classmethod
    def _database_url_is_understood(cls, url: SecretStr) -> SecretStr:
        parse_database_url(url.get_secret_value())
        return url

    @field_validator("http_listen")
    @classmethod
    def _http_listen_is_understood(cls, text: str) -> str:
        listen_at(text)
        return text

    @field_validator("traces_endpoint")
    @classmethod
    def _traces_endpoint_is_understood(cls, url: SecretStr) -> SecretStr:
        text = url.get_secret_value()
        if text and not text.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        if text and not _names_a_host(text):
            raise ValueError("is not a URL like http://host:4318/v1/traces")
        return url

    @field_validator("queue_name")
    @classmethod
    def _queue_name_is_text(cls, name: str) -> str:
        check_queue_name(name)
        return name

    @field_validator("redis_url")
    @classmethod
    def _redis_url_is_understood(cls, url: SecretStr) -> SecretStr:
        parse_redis_url(url.get_secret_value(), "redis_url")
        return url

    def shown(self, name: str) -> str:
        """The value of a setting as a person may see it: a URL without its password."""
        value = getattr(self, name)
        if isinstance(value, str) and "://" in value:  # it was meant for another variable
            return masked(value)
        if isinstance(value, SecretStr):
            return masked(value.get_secret_value())
        return str(value)

    @property
    def pool_size(self) -> int:
        """Connections this process may hold."""
        return self.database_pool_size or self.max_jobs + 3

    def contradictions(self) -> list[str]:
        """The budgets that defeat each other, each as a sentence that names both."""
        rules = [
            (
                self.database_lock_timeout_s < self.database_command_timeout_s,
                "DATABASE_LOCK_TIMEOUT_S must be under DATABASE_COMMAND_TIMEOUT_S, or a waiting lock looks like a dead"
                " server",
            ),
            (
                self.database_command_timeout_s <= self.retry_budget_s,
                "RETRY_BUDGET_S must be at least DATABASE_COMMAND_TIMEOUT_S, or a statement that timed out is never"
                " tried again",
            ),
            (
                self.database_pool_size != 1,
                "DATABASE_POOL_SIZE must be 0, or at least 2: one connection listens to the outbox for good",
            ),
            (
                self.retry_budget_s + self._longest_attempt_s < self.job_timeout_s,
                f"JOB_TIMEOUT_S must be over RETRY_BUDGET_S plus one attempt ({self._longest_attempt_s:g} s), or Arq"
                " ends a job that would have ended itself",
            ),
            (
                self._longest_attempt_s <= self.drain_timeout_s,
                f"DRAIN_TIMEOUT_S must be at least one attempt ({self._longest_attempt_s:g} s), or a deploy interrupts"
                " sound attempts",
            ),
            (
                self.database_command_timeout_s < self.database_idle_in_transaction_timeout_s,
                "DATABASE_IDLE_IN_TRANSACTION_TIMEOUT_S must be over DATABASE_COMMAND_TIMEOUT_S",
            ),
        ]
        return [complaint for holds, complaint in rules if not holds]

    @property
    def _longest_attempt_s(self) -> float:
        return self.database_pool_timeout_s + self.database_command_timeout_s


class UnsoundSettings(ValueError):
    """Settings that cannot be right. Each complaint is a sentence that names its variable, and nothing secret."""

    def __init__(self, complaints: list[str]) -> None:
        super().__init__("\n".join(f"settings: {complaint}" for complaint in complaints))


def load_settings() -> Settings:
    """The settings of the environment. Raises UnsoundSettings."""
    try:
        settings = Settings()
    except ValidationError as error:
        raise UnsoundSettings([_complaint(each) for each in error.errors()]) from None
    if complaints := settings.contradictions():
        raise UnsoundSettings(complaints)
    return settings


def _complaint(error: ErrorDetails) -> str:
    name = ".".join(map(str, error["loc"]))
    field = Settings.model_fields.get(name)
    given = error["input"] if field is not None and field.annotation is not SecretStr else None
    if isinstance(given, str) and "://" in given:  # it was meant for another variable, and may hold a password
        given = masked(given)
    return f"{name.upper()}: {complaint_of(error, given).removeprefix(f'{name}: ')}"


def _names_a_host(url: str) -> bool:
    try:
        url.encode("ascii")
        parts = urlsplit(url)
        return bool(parts.hostname) and (parts.port is None or parts.port > 0) and not re.search(r"[\s\x00-\x1f]", url)
    except ValueError:
        return False

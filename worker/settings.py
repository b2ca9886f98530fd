"""Every knob, with its unit and its default. The environment is read here and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from noteflow.infrastructure.persistence.urls import normalise_database_url
from noteflow.infrastructure.queue.urls import check_redis_url
from worker.http.listen import listen_at
from worker.wording import complaint_of

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Seconds = Annotated[float, Field(gt=0)]
SecondsOrNone = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
CountOrNone = Annotated[int, Field(ge=0)]
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
    premature_deadline_s: Seconds = Field(default=900.0, description="how long a job waits for its predecessor")

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
        normalise_database_url(url.get_secret_value())
        return url

    @field_validator("http_listen")
    @classmethod
    def _http_listen_is_understood(cls, text: str) -> str:
        listen_at(text)
        return text

    @field_validator("traces_endpoint")
    @classmethod
    def _traces_endpoint_is_understood(cls, url: SecretStr) -> SecretStr:
        if url.get_secret_value() and not url.get_secret_value().startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return url

    @field_validator("redis_url")
    @classmethod
    def _redis_url_is_understood(cls, url: SecretStr) -> SecretStr:
        check_redis_url(url.get_secret_value(), "redis_url")
        return url

    def shown(self, name: str) -> str:
        """The value of a setting as a person may see it: a URL without its password."""
        value = getattr(self, name)
        if isinstance(value, SecretStr):
            return _without_password(value.get_secret_value()) if value.get_secret_value() else ""
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
    return f"{name.upper()}: {complaint_of(error, given).removeprefix(f'{name}: ')}"


def _without_password(text: str) -> str:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        return "***"
    if "password" in url.query:
        url = url.update_query_dict({"password": "***"})
    return url.render_as_string(hide_password=True).replace("%2A%2A%2A", "***")

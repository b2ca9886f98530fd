from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from worker.settings import Settings, UnsoundSettings, load_settings


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_the_defaults_agree_with_each_other() -> None:
    assert Settings().contradictions() == []


def test_each_setting_says_what_it_means() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAX_JOBS", "7")
    monkeypatch.setenv("DRAIN_TIMEOUT_S", "40.5")
    settings = Settings()
    assert (settings.max_jobs, settings.drain_timeout_s, settings.pool_size) == (7, 40.5, 10)


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        ({"database_lock_timeout_s": 10}, ("DATABASE_LOCK_TIMEOUT_S", "DATABASE_COMMAND_TIMEOUT_S")),
        ({"retry_budget_s": 9}, ("RETRY_BUDGET_S", "DATABASE_COMMAND_TIMEOUT_S")),
        ({"job_timeout_s": 40}, ("JOB_TIMEOUT_S", "RETRY_BUDGET_S")),
        ({"drain_timeout_s": 19}, ("DRAIN_TIMEOUT_S",)),
        ({"database_idle_in_transaction_timeout_s": 10}, ("DATABASE_IDLE_IN_TRANSACTION_TIMEOUT_S",)),
    ],
)
def test_budgets_that_defeat_each_other_are_named(changed: dict[str, Any], names: tuple[str, ...]) -> None:
    (complaint,) = Settings(**changed).contradictions()
    assert all(name in complaint for name in names)


@pytest.mark.parametrize(
    "changed",
    [
        {"max_jobs": 0},
        {"max_jobs": "many"},
        {"job_timeout_s": -1},
        {"log_level": "LOUD"},
        {"database_url": "mysql://host/db"},
        {"database_url": "postgresql://host/db?sslmode=perhaps"},
        {"database_url": "nonsense"},
        {"redis_url": "http://host"},
        {"redis_url": "redis://host/notadb"},
        {"redis_url": "redis://:s3@s3cret/x#y@host/0"},
        {"queue_name": ""},
    ],
)
def test_what_cannot_be_is_refused_by_the_name_of_its_field(changed: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refusal:
        Settings(**changed)
    assert refusal.value.errors()[0]["loc"] == tuple(changed)


def test_what_cannot_be_is_refused_in_our_words_and_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {
        "MAX_JOBS": ("abc", "must be a whole number, not 'abc'"),
        "OPTIMISTIC_ATTEMPTS": ("0", "must be at least 1, not '0'"),
        "LEASE_S": ("soon", "must be a number, not 'soon'"),
        "JOB_TIMEOUT_S": ("-1", "must be above 0, not '-1'"),
        "LOG_LEVEL": ("loud", "must be one of DEBUG, INFO, WARNING, ERROR, not 'loud'"),
        "QUEUE_NAME": ("", "must not be empty"),
        "DATABASE_URL": ("hunter2", "is not a URL like postgresql://user@host/database"),
    }
    for name, (given, _) in wrong.items():
        monkeypatch.setenv(name, given)
    with pytest.raises(UnsoundSettings) as caught:
        load_settings()
    assert set(str(caught.value).splitlines()) == {f"settings: {name}: {says}" for name, (_, says) in wrong.items()}


def test_a_password_is_never_shown() -> None:
    settings = Settings.model_validate(
        {
            "database_url": "postgresql://me:s3cret@host/db?sslmode=require",
            "redis_url": "redis://:s3cret@host:6379/0",
        }
    )
    shown = [settings.shown(name) for name in Settings.model_fields]
    assert "postgresql://me:***@host/db?sslmode=require" in shown
    assert "redis://:***@host:6379/0" in shown
    assert "s3cret" not in repr(settings) + str(settings) + "".join(shown)

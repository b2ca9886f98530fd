from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from noteflow.infrastructure.urls import masked
from worker.engine.gate import Gate
from worker.engine.options import Options
from worker.functions import for_our_worker
from worker.main import worker_arguments
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
        ({"database_pool_size": 1}, ("DATABASE_POOL_SIZE",)),
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


HOSTILE = [
    "", " ", "0", "-1", "-0.0", "1e-9", "0.0001", "1e308", "inf", "-inf", "nan", "NaN", "9" * 400, "9" * 5000, "0x10",
    "1_0", "٣", "1,5", "true", "null", "None", "[]", "{}", "\udcff", "\x1b[31m", "a\nb", "%00", "x" * 100_000, "://",
    "redis://", "postgresql://", "redis://:s3cret@h:x", "postgresql://u:s3cret@h:x/d", "rediss://h?ssl_ca_certs=/no",
    "http://:s3cret@h:x", "http://", "http://[", "host:99999",
    "host:" + "9" * 5000, "\udcff:80", "a b:80", ":-1", "[::1]:0",
]  # fmt: skip


@pytest.mark.parametrize("name", Settings.model_fields)
def test_a_hostile_value_is_refused_by_its_variable_or_is_sound(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused in one line that names the variable and shows no secret, or taken, shown, and of use to a worker."""
    for value in HOSTILE:
        monkeypatch.setenv(name.upper(), value)
        try:
            settings = load_settings()
        except UnsoundSettings as refused:
            lines = str(refused).splitlines()
            assert all(line.startswith("settings: ") and name.upper() in line for line in lines), lines
            assert all(len(line) < 400 and line.isprintable() for line in lines), lines
            assert "s3cret" not in str(refused)
        else:
            assert "s3cret" not in settings.shown(name) or name == "meetings_dir"
            worker_arguments(settings, for_our_worker, Gate())
            Options(lease_s=settings.lease_s)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LEASE_S", "inf"), ("LEASE_S", "1e-9"), ("DATABASE_LOCK_TIMEOUT_S", "1e7"), ("KEEP_RESULT_S", "1e300"),
        ("MAX_JOBS", "1000000"), ("QUEUE_NAME", "\udcff"), ("HTTP_LISTEN", "host:" + "9" * 5000),
        ("HTTP_LISTEN", "a b:80"), ("TRACES_ENDPOINT", "http://"), ("TRACES_ENDPOINT", "http://h:x/v1"),
    ],
)  # fmt: skip
def test_what_a_worker_could_not_use_is_refused(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UnsoundSettings, match=rf"^settings: {name}"):
        load_settings()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:s3@cret@host/0", "redis://:***@host/0"),
        ("redis://:s3/cret@host/0", "***"),
        ("postgresql://ada:s3cret@h1:1,h2:2/db?sslpassword=s3cret&sslmode=require",
         "postgresql://ada:***@h1:1,h2:2/db?sslpassword=***&sslmode=require"),
        ("unix://ada:s3cret@/run/r.sock?db=1&password=s3cret", "unix://ada:***@/run/r.sock?db=1&password=***"),
        ("http://ada:s3cret@host/v1/traces?api_key=s3cret", "http://ada:***@host/v1/traces?api_key=***"),
        ("s3cret", "***"),
        ("", ""),
    ],
)  # fmt: skip
def test_a_url_is_shown_without_a_piece_of_its_password(url: str, shown: str) -> None:
    assert masked(url) == shown

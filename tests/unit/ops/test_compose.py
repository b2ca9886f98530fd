"""docker-compose.yml keeps what the workers rely on."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.unit.ops.files import ROOT, compose, is_a_command_of_ours, longest_stop_s, services
from worker.settings import Settings

SERVERS = ("postgres", "valkey")
OURS = ("migrate", "worker")


def option(name: str) -> str:
    """The value of one of Valkey's options."""
    command: list[str] = services()["valkey"]["command"]
    return command[command.index(f"--{name}") + 1]


def seconds(duration: str) -> float:
    """A duration of compose, in seconds."""
    assert duration.endswith("s")
    return float(duration.removesuffix("s"))


def test_valkey_keeps_every_job_it_has_acknowledged() -> None:
    assert option("appendonly") == "yes"
    assert option("appendfsync") in ("always", "everysec")
    assert option("maxmemory-policy") == "noeviction"
    assert "valkey:/data" in services()["valkey"]["volumes"]


def test_postgres_keeps_its_data_where_version_18_writes_them() -> None:
    assert services()["postgres"]["image"].startswith("postgres:18")
    assert "postgres:/var/lib/postgresql" in services()["postgres"]["volumes"]


def test_a_worker_begins_when_both_servers_answer_and_the_schema_is_there() -> None:
    assert services()["worker"]["depends_on"] == {
        "postgres": {"condition": "service_healthy"},
        "valkey": {"condition": "service_healthy"},
        "migrate": {"condition": "service_completed_successfully"},
    }
    assert services()["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}


def test_the_migrations_run_once() -> None:
    assert services()["migrate"]["restart"] == "no"
    assert services()["migrate"]["healthcheck"] == {"disable": True}


@pytest.mark.parametrize("name", OURS)
def test_the_commands_exist(name: str) -> None:
    assert is_a_command_of_ours(services()[name]["command"])


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_says_whether_it_answers(name: str) -> None:
    check = services()[name]["healthcheck"]
    assert {"test", "interval", "timeout", "retries"} <= set(check)
    assert check["test"][0] in ("CMD", "CMD-SHELL")


def test_a_worker_is_given_longer_to_stop_than_it_may_drain() -> None:
    drain_s = float(services()["worker"]["environment"]["DRAIN_TIMEOUT_S"])
    assert drain_s == Settings.model_fields["drain_timeout_s"].default
    assert seconds(services()["worker"]["stop_grace_period"]) > longest_stop_s()


def test_there_is_more_than_one_worker() -> None:
    assert services()["worker"]["deploy"]["replicas"] >= 2


@pytest.mark.parametrize("name", OURS)
def test_our_containers_may_do_little(name: str) -> None:
    service = services()[name]
    assert service["init"] is True
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", OURS)
def test_every_variable_given_to_us_is_one_of_our_settings(name: str) -> None:
    assert {variable.lower() for variable in services()[name]["environment"]} <= set(Settings.model_fields)


@pytest.mark.parametrize("name", SERVERS)
def test_images_are_pinned_to_a_version_and_a_system(name: str) -> None:
    assert re.fullmatch(r"[a-z/]+:\d+(\.\d+)*-[a-z]+", services()[name]["image"])


def test_ports_are_open_to_this_machine_only() -> None:
    ports = [port for service in services().values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_no_secret_is_written_down_and_none_has_a_default() -> None:
    assert services()["postgres"]["environment"]["POSTGRES_PASSWORD"].startswith("${POSTGRES_PASSWORD:?")
    for name in OURS:
        assert "noteflow:${POSTGRES_PASSWORD:?" in services()[name]["environment"]["DATABASE_URL"]
    assert "POSTGRES_PASSWORD:-" not in (ROOT / "docker-compose.yml").read_text()


def test_every_volume_that_is_mounted_is_declared() -> None:
    mounted: set[Any] = {
        volume.partition(":")[0] for service in services().values() for volume in service.get("volumes", [])
    }
    assert mounted == set(compose()["volumes"])

"""supervisord.conf and the Procfile keep what the workers rely on."""

from __future__ import annotations

from tests.unit.ops.files import is_a_command_of_ours, longest_stop_s, procfile, supervisord
from worker.cli.reading import EXIT_SETTINGS


def test_supervised_workers_are_told_to_stop_gently_and_given_the_time() -> None:
    worker = supervisord("program:worker")
    assert worker["stopsignal"] == "TERM"
    assert float(worker["stopwaitsecs"]) > longest_stop_s()
    assert worker["stopasgroup"] == "false"
    assert worker["killasgroup"] == "true"


def test_supervised_workers_come_back_whatever_ended_them_but_wrong_settings() -> None:
    worker = supervisord("program:worker")
    assert worker["autostart"] == "true"
    assert (worker["autorestart"], worker["exitcodes"], worker["startsecs"]) == ("unexpected", str(EXIT_SETTINGS), "0")


def test_supervised_workers_are_several_and_each_has_a_name() -> None:
    worker = supervisord("program:worker")
    assert int(worker["numprocs"]) >= 2
    assert "%(process_num)02d" in worker["process_name"]


def test_the_supervisor_stays_in_front_and_logs_to_standard_output() -> None:
    assert supervisord("supervisord")["nodaemon"] == "true"
    worker = supervisord("program:worker")
    assert worker["stdout_logfile"] == "/dev/fd/1"
    assert worker["stdout_logfile_maxbytes"] == "0"
    assert worker["redirect_stderr"] == "true"


def test_no_setting_of_a_worker_is_fixed_by_the_supervisor() -> None:
    assert "environment" not in supervisord("program:worker")
    assert "environment" not in supervisord("supervisord")


def test_only_the_same_user_may_command_the_supervisor() -> None:
    assert supervisord("unix_http_server")["chmod"] == "0700"


def test_the_commands_exist() -> None:
    assert is_a_command_of_ours(supervisord("program:worker")["command"].split())
    assert set(procfile()) == {"release", "worker"}
    for command in procfile().values():
        first, *words = command.split()
        assert first == "exec"
        assert is_a_command_of_ours(words)

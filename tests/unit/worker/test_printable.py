"""What is printed is printable, and whatever prints goes through the one function that makes it so."""

from __future__ import annotations

import ast
import io
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text
from typer.testing import CliRunner

from worker.cli import create_app
from worker.cli.terminal import console, echo
from worker.inspection.ids import unescaped
from worker.printable import printable, printable_lines

WORKER = Path(__file__).parents[3] / "worker"
MAY_WRITE = {"cli/terminal.py", "streams.py"}
"""The modules that make text printable before they write it."""

HOSTILE = {
    "a colour": "\x1b[31m",
    "a title": "\x1b]0;owned\x07",
    "a link": "\x1b]8;;https://x.invalid\x1b\\",
    "C1": "\x9b31m",
    "a carriage return": "safe\rowned",
    "backspaces": "rm\b\bls",
    "DEL": "\x7f",
    "bidi embeddings": "\u202a\u202b\u202c\u202d\u202e",
    "bidi isolates": "\u2066\u2067\u2068\u2069",
    "bidi marks": "\u200e\u200f\u061c",
    "zero width": "a\u200bb\u200cc\u200dd\u2060e\ufeff",
    "fillers": "\u3164\u115f\u2800\ufe00",
    "tags": "\U000e0041",
    "line separators": "\u2028\u2029\x85",
    "half a surrogate pair": "\ud800",
    "a byte": "\udcff",
    "a NUL": "\0",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_becomes_visible_and_can_be_read_back(text: str) -> None:
    shown = printable(f"<{text}>")
    assert shown.isprintable()
    assert not any(unicodedata.category(char).startswith("C") for char in shown)
    if "\ud800" not in text:  # which stands for no byte, so no id holds it
        assert unescaped(shown) == f"<{text}>"


@given(st.text(st.characters()))
def test_any_text_is_printable_on_one_line(text: str) -> None:
    assert printable(text).isprintable()
    printable(text).encode()


def test_ordinary_text_of_any_language_stays_as_it_is() -> None:
    text = "Grüße, 会議 №5 «naïve» मीटिंग — 🎉"
    assert printable(text) == text


def test_a_long_text_in_a_cell_is_cut_and_counted() -> None:
    assert printable("a" * 2_000, 10) == "aaaaaaaaaa… (2,000 characters)"


def test_line_breaks_that_are_meant_stay() -> None:
    assert printable_lines("one\ntwo\x1b\r\nthree") == "one\ntwo\\x1b\\r\nthree"


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_nothing_hostile_passes_a_table_a_title_or_a_line(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("head", title=text)
    table.add_row(Text(text, style="red"))
    table.add_row(text)
    screen = console()
    screen.print(table)
    screen.print(text, soft_wrap=True)
    echo(text)
    echo(text, err=True)
    written = "".join(capsys.readouterr())
    assert all(char.isprintable() or char == "\n" for char in written), ascii(written)


def test_nothing_hostile_passes_a_terminal_with_colours() -> None:
    screen = console()
    screen.file = io.StringIO()
    screen.no_color = True
    for text in HOSTILE.values():
        screen.print(Text(text))
    assert all(char.isprintable() or char == "\n" for char in screen.file.getvalue())


@pytest.mark.parametrize(
    "arguments",
    [
        ["{}"], ["jobs", "{}"], ["jobs", "ls", "--{}"], ["jobs", "ls", "--limit", "{}"], ["jobs", "meeting", "{}"],
        ["jobs", "ls", "--state", "{}"], ["jobs", "pause", "{}", "x", "--reason", "y"], ["prune", "--older-than", "{}"],
    ],
)  # fmt: skip
def test_what_an_error_quotes_of_the_arguments_is_printable(arguments: list[str]) -> None:
    for text in HOSTILE.values():
        if "\0" not in text:
            result = CliRunner().invoke(create_app(), [each.format(text) for each in arguments])
            assert result.exit_code == 2, result.output
            assert all(char.isprintable() or char == "\n" for char in result.output), ascii(result.output)


def test_no_module_of_the_worker_prints_by_itself() -> None:
    found = {
        f"{path.relative_to(WORKER)}:{node.lineno}: {ast.unparse(node.func)}"
        for path in WORKER.rglob("*.py")
        if str(path.relative_to(WORKER)) not in MAY_WRITE
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and _prints(ast.unparse(node.func))
    }
    assert not found, "these print without `worker.cli.terminal`"


def _prints(called: str) -> bool:
    if called in ("print", "Console", "rich.print", "rich.console.Console"):
        return True
    if called.startswith(("sys.stdout.write", "sys.stderr.write", "sys.__stdout__", "sys.__stderr__")):
        return True
    return called.partition(".")[0] in ("typer", "click") and called.partition(".")[2] in (
        "echo", "secho", "confirm", "prompt", "style", "echo_via_pager", "progressbar",
    )  # fmt: skip

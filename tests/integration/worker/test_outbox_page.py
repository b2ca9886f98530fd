"""What docs/outbox.md shows is run as it stands, and does what it says."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

from tests.integration.worker.stage import Stage

PAGE = (Path(__file__).parents[3] / "docs" / "outbox.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


async def test_the_examples_ask_for_a_meeting_that_is_completed_in_the_end(stage: Stage, tmp_path: Path) -> None:
    names: dict[str, Any] = {}
    for example in EXAMPLES:
        source = example.replace("postgresql://localhost/noteflow", stage.judge.database_url)
        code = compile(source, "docs/outbox.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        await eval(code, names)
    await names["engine"].dispose()
    assert len(names["store"].jobs.commands) == 1
    assert len(await stage.outbox()) == 4

    while await stage.deliver_woken():
        pass
    meeting = names["meeting"].id
    assert (await stage.judge.meetings())[meeting] == ("COMPLETED", 4, 3)
    assert await stage.judge.segments() == {meeting: {0: "Good morning."}}
    assert await stage.outbox() == {}

"""What is switched off is not even imported."""

from __future__ import annotations

import subprocess
import sys


def test_a_worker_without_pages_imports_neither_their_server_nor_the_metrics() -> None:
    code = "import worker.running, worker.main, sys; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "worker.engine.worker" in modules
    assert not {"starlette", "uvicorn", "prometheus_client", "worker.http.pages"} & set(modules)

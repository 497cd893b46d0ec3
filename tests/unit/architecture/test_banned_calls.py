"""ruff's configuration refuses what only the clock and the id module may do. Each case is piped through ruff itself."""

import subprocess
import sys
from pathlib import Path

import pytest

from leadrail_tools.checkout import repository_root

HANDLERS = "services/scoring/src/scoring/handlers.py"
REPOSITORY = "services/scoring/src/scoring/repository.py"
TEST = "tests/unit/scoring/test_x.py"


@pytest.mark.parametrize(
    ("code", "path", "source"),
    [
        ("TID251", HANDLERS, "import datetime\n\nx = datetime.datetime.now(datetime.UTC)\n"),
        ("TID251", HANDLERS, "import time\n\nx = time.time()\n"),
        ("TID251", HANDLERS, "from uuid import uuid4\n\nx = uuid4()\n"),
        ("TID251", TEST, "from uuid_utils import uuid7\n\nx = uuid7()\n"),
        ("T201", HANDLERS, "print(1)\n"),
        ("S608", REPOSITORY, "def f(name: str) -> str:\n    return f\"SELECT * FROM t WHERE a = '{name}'\"\n"),
        ("DTZ005", HANDLERS, "import datetime\n\nx = datetime.datetime.now()\n"),
    ],
)
def test_ruff_refuses(code: str, path: str, source: str) -> None:
    assert code in _ruff(path, source)


def test_the_id_module_may_make_ids() -> None:
    assert "TID251" not in _ruff("shared/src/shared/ids.py", "from uuid_utils import uuid7\n\nx = uuid7()\n")


def _ruff(path: str, source: str) -> str:
    ruff = Path(sys.executable).with_name("ruff")
    run = subprocess.run(
        [ruff, "check", "--no-cache", "--output-format=concise", "--stdin-filename", path, "-"],
        cwd=repository_root(), input=source, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return run.stdout

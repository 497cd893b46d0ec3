"""The local stack's own API key: made by the CLI command an operator would use, kept with the data."""

import os
import subprocess
import sys
from pathlib import Path

from local_stack.failure import StackError

CLIENT = "local-stack"


def admin_key(data_dir: Path, database_url: str) -> str:
    """Return a key with the scope admin; made on first use by ``leadrail keys create``, readable by its owner only."""
    file = data_dir / "admin-key"
    if not file.exists():
        made = _leadrail(database_url, "keys", "create", "--client", CLIENT, "--scope", "admin")
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as kept:
            kept.write(made.strip())
    return file.read_text("ascii")


def _leadrail(database_url: str, *arguments: str) -> str:
    finished = subprocess.run(  # noqa: S603 - our own command line
        [sys.executable, "-m", "shared.cli", *arguments],
        env={**os.environ, "DATABASE_URL": database_url},
        capture_output=True,
        text=True,
        check=False,
    )
    if finished.returncode:
        raise StackError(f"`leadrail {' '.join(arguments)}` failed: {finished.stderr.strip()[-500:]}")
    return finished.stdout

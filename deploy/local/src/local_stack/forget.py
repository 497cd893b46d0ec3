"""Deletes what a stack left on disk."""

import shutil
from pathlib import Path

from local_stack.checkout import shared_cache
from local_stack.failure import StackError
from local_stack.postgres_account import data_home_for, postgres_account
from local_stack.state import only_stack


def forget_data(data_dir: Path) -> None:
    """Delete data, logs, keys and remembered ports under *data_dir*; raise StackError while its stack runs."""
    if not data_dir.exists():
        return
    if data_dir.is_symlink() or not data_dir.is_dir():
        raise StackError(f"{data_dir} is not a folder of a stack: nothing was deleted.")
    with only_stack(data_dir):
        # As root in a folder that the database's user cannot reach, the database is kept outside (postgres_account).
        shutil.rmtree(data_home_for(postgres_account(), data_dir / "postgres"), ignore_errors=True)
        for entry in data_dir.iterdir():
            if entry.name == "stack.lock":
                continue
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()


def forget_downloads() -> Path:
    """Delete the downloads that all checkouts share and return where they were."""
    cache = shared_cache()
    shutil.rmtree(cache / "kafka", ignore_errors=True)
    return cache

"""Where the checkout is."""

from pathlib import Path


def repository_root(start: Path | None = None) -> Path:
    """Return the folder with the lock file, at or above *start* (default: this file)."""
    here = (start or Path(__file__)).resolve()
    for folder in (here, *here.parents):
        if (folder / "uv.lock").is_file():
            return folder
    raise FileNotFoundError(f"no uv.lock at or above {here}: run this inside a Leadrail checkout")

"""Where this checkout keeps its things on disk."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[4]
DEPLOY = ROOT / "deploy"
STATE = ROOT / ".local"


def shared_cache() -> Path:
    """Return the folder of downloads that all checkouts of this user share.

    ``LEADRAIL_CACHE`` names it, else it is ``leadrail`` under the XDG cache folder.
    """
    if named := os.environ.get("LEADRAIL_CACHE"):
        return Path(named).expanduser().resolve()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "leadrail"

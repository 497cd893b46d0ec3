"""The schemas as they were at a commit, and the breaks that people accepted with a reason."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

CONTRACTS = "shared/contracts"
ASYNCAPI = f"{CONTRACTS}/asyncapi.yaml"


class NoSuchCommit(LookupError):
    """The repository does not have what the schemas should be compared with."""


def baselines(root: Path) -> Iterator[str]:
    """Yield the commits to compare with: the last one, and where this branch left main (or the commit before)."""
    for reference in ("HEAD", _fork_point(root) or "HEAD~1"):
        if _git(root, "rev-parse", "--verify", "--quiet", f"{reference}^{{commit}}") is not None:
            yield reference


def schemas_at(root: Path, reference: str) -> dict[str, dict[str, Any]]:
    """Return event type → JSON Schema as committed at *reference*. Errors: `NoSuchCommit`."""
    listing = _git(root, "ls-tree", "-r", "--name-only", reference, "--", CONTRACTS)
    if listing is None:
        raise NoSuchCommit(reference)
    found: dict[str, dict[str, Any]] = {}
    for path in listing.splitlines():
        if path.endswith("/schema.json"):
            found[Path(path).parent.name] = json.loads(_git(root, "show", f"{reference}:{path}") or "{}")
    return found


def asyncapi_at(root: Path, reference: str) -> dict[str, Any]:
    """Return the AsyncAPI document as committed at *reference*; empty if there was none."""
    document: dict[str, Any] = yaml.safe_load(_git(root, "show", f"{reference}:{ASYNCAPI}") or "{}")
    return document


def accepted_breaks(root: Path) -> frozenset[str]:
    """Return the breaking changes that are accepted. Errors: `ValueError` for one without a reason."""
    file = root / CONTRACTS / "accepted-breaks.yaml"
    entries = (yaml.safe_load(file.read_text()) or {}).get("accepted", []) if file.is_file() else []
    for entry in entries or []:
        if not str(entry.get("why") or "").strip():
            raise ValueError(f"{file.name}: '{entry.get('change')}' has no reason (why)")
    return frozenset(str(entry["change"]) for entry in entries or [])


def _fork_point(root: Path) -> str | None:
    """Return where the branch left ``origin/main``; None on main itself or without a remote."""
    fork, head = _git(root, "merge-base", "HEAD", "origin/main"), _git(root, "rev-parse", "HEAD")
    return fork.strip() if fork and fork != head else None


def _git(root: Path, *arguments: str) -> str | None:
    run = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
    return run.stdout if run.returncode == 0 else None

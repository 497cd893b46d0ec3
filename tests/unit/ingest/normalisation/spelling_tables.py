"""The published tables of real-world spellings."""

from pathlib import Path


def read_spellings(name: str) -> list[tuple[str, str]]:
    """(spelling, what it means) of each spelling in spellings/*name*.txt."""
    lines = (Path(__file__).parent / "spellings" / f"{name}.txt").read_text(encoding="utf-8").splitlines()[1:]
    return [(spelling, line.split("|")[0]) for line in lines for spelling in line.split("|")[1:]]

"""What a fault is. Each kind is a class: its parameters are drawn from a seed, it strikes, and it heals itself."""

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from random import Random
from typing import Any, ClassVar, Self

from .scene import Scene


@dataclass(frozen=True)
class Fault(ABC):
    """One fault with its parameters."""

    kind: ClassVar[str]
    weight: ClassVar[int] = 1

    @classmethod
    @abstractmethod
    def draw(cls, chance: Random) -> Self:
        """Return one with parameters from *chance*."""

    @abstractmethod
    async def inject(self, scene: Scene) -> None:
        """Strike, last as long as it lasts, and heal. What it sees broken meanwhile goes to ``scene.found``."""

    @property
    def shuts_door(self) -> bool:
        """Whether ingest may rightly answer 503, or nothing, meanwhile."""
        return False

    def __str__(self) -> str:
        words = ", ".join(f"{name}={value!r}" for name, value in asdict(self).items())
        return f"{self.kind}({words})"

    def as_json(self) -> dict[str, Any]:
        return {"kind": self.kind, **asdict(self)}

"""Made-up people, the same ones for the same seed."""

import random
from dataclasses import dataclass

_FIRST = (
    "Ada", "Bruno", "Chiara", "Dmitri", "Elena", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Katja", "Liam", "Mei",
    "Nadia", "Oskar", "Priya", "Quentin", "Rosa", "Sven", "Tara", "Umar", "Vera", "Wanda", "Xavier", "Yuki", "Zoe",
)  # fmt: skip
_LAST = (
    "Abbott", "Bauer", "Costa", "Dubois", "Eriksen", "Fischer", "Garcia", "Hansen", "Ivanova", "Jensen", "Kowalski",
    "Lopez", "Meyer", "Novak", "Okafor", "Petrov", "Quinn", "Rossi", "Schmidt", "Tanaka", "Ueda", "Vogel", "Weber",
)  # fmt: skip
_COMPANY = (
    "Northwind", "Bluepeak", "Hexagon", "Silverline", "Quantia", "Orchard", "Lumen", "Vertex", "Copperfield", "Tidal",
    "Juniper", "Atlas", "Brightwater", "Cinder", "Delta", "Evergreen", "Foxglove", "Granite", "Harbour", "Ironwood",
)  # fmt: skip
# Titles, sizes and industries as people type them; most of a demo's leads should reach sales.
_TITLES = (
    "VP Sales", "Chief Marketing Officer", "Head of Revenue Operations", "Director of Sales", "Marketing Manager",
    "CEO", "Sales Operations Manager", "IT Director", "Software Engineer", "Intern",
)  # fmt: skip
_SIZES = ("11-50", "51-200", "201-500", "501-1000", "1001-5000")
_INDUSTRIES = ("Software", "Financial Services", "Manufacturing", "Healthcare", "Retail")
_COUNTRIES = (
    ("US", "+1 415 555 0"), ("US", "+1 212 555 0"), ("GB", "+44 20 7946 0"), ("DE", "+49 30 9018 2"),
    ("FR", "+33 1 99 00 1"), ("CA", "+1 416 555 0"),
)  # fmt: skip
_SUFFIXES = {"US": "Inc", "GB": "Ltd", "DE": "GmbH", "FR": "SARL", "CA": "Corp"}


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who fills in forms. ``number`` is unique in a population; so is the address."""

    number: int
    first_name: str
    last_name: str
    email: str
    phone: str
    title: str
    company: str
    country: str
    industry: str
    employees: str
    has_consented: bool


def make_person(number: int, *, seed: int = 0, population: str = "") -> Person:
    """Return person *number* of a *population*: the same every time for the same arguments."""
    chance = random.Random(f"{seed}/{population}/{number}")  # noqa: S311 - made-up people, not secrets
    first, last = chance.choice(_FIRST), chance.choice(_LAST)
    country, phone = chance.choice(_COUNTRIES)
    name = chance.choice(_COMPANY)
    domain = f"{name.lower()}{chance.randrange(400)}.example"
    tag = f"{population}{number}"
    return Person(
        number=number,
        first_name=first,
        last_name=last,
        email=f"{first}.{last}.{tag}@{domain}".lower(),
        phone=f"{phone}{chance.randrange(100, 999)}",
        title=chance.choice(_TITLES),
        company=f"{name} {_SUFFIXES[country]}",
        country=country,
        industry=chance.choice(_INDUSTRIES),
        employees=chance.choice(_SIZES),
        has_consented=chance.random() < 0.8,
    )

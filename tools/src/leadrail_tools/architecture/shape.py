"""Every service has the same rooms, so that who knows one knows all five."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from leadrail_tools.architecture.module import Finding

SERVICES = ("consent", "ingest", "routing", "scoring", "sla-monitor")
ROOMS = ("settings", "handlers", "repository", "tables", "api", "metrics")
README_SECTIONS = ("consumes", "produces", "owns", "settings", "runbook")


def package_of(service: str) -> str:
    return service.replace("-", "_")


def services_of_one_shape(root: Path) -> Iterator[Finding]:
    """Yield what each service under *root* lacks, and folders under ``services/`` that are none."""
    present = {folder.name for folder in (root / "services").iterdir() if folder.is_dir()}
    for name in sorted(present - set(SERVICES)):
        yield Finding(f"services/{name}", 1, "shape", "not a service: see SERVICES in shape.py")
    for name in SERVICES:
        yield from _missing_files(root, name)
        yield from _wrong_names(root, name)
        yield from _missing_readme_sections(root, name)


def _missing_files(root: Path, service: str) -> Iterator[Finding]:
    folder = f"services/{service}"
    source = f"{folder}/src/{package_of(service)}"
    files = (
        "Dockerfile", "pyproject.toml", "README.md",
        *(f"src/{package_of(service)}/{file}" for file in (
            "__init__.py", "__main__.py", "py.typed", "domain/__init__.py", "migrations/__init__.py",
            "migrations/env.py",
            "migrations/versions/0001_initial.py",
        )),
    )  # fmt: skip
    for file in files:
        if not (root / folder / file).is_file():
            yield Finding(f"{folder}/{file}", 1, "shape", "every service has this file")
    for room in ROOMS:
        if not (root / source / f"{room}.py").is_file() and not (root / source / room / "__init__.py").is_file():
            yield Finding(f"{source}/{room}.py", 1, "shape", "every service has this room (a module, or a package)")
    for tests in ("unit", "integration"):
        if not (root / "tests" / tests / package_of(service)).is_dir():
            yield Finding(f"tests/{tests}/{package_of(service)}", 1, "shape", f"every service has {tests} tests")


def _wrong_names(root: Path, service: str) -> Iterator[Finding]:
    path = root / "services" / service / "pyproject.toml"
    if not path.is_file():
        return
    project = tomllib.loads(path.read_text()).get("project", {})
    if project.get("name") != f"leadrail-{service}":
        yield Finding(f"services/{service}/pyproject.toml", 1, "shape", f"the distribution is named leadrail-{service}")
    if project.get("scripts", {}).get(service) != f"{package_of(service)}.__main__:main":
        yield Finding(f"services/{service}/pyproject.toml", 1, "shape", f"the script is {service} = its __main__:main")
    settings = root / "services" / service / "src" / package_of(service) / "settings.py"
    prefix = f'"{package_of(service).upper()}_"'
    if settings.is_file() and prefix not in settings.read_text():
        yield Finding(f"{settings.relative_to(root)}", 1, "shape", f"the environment prefix is {prefix}")


def _missing_readme_sections(root: Path, service: str) -> Iterator[Finding]:
    path = root / "services" / service / "README.md"
    if not path.is_file():
        return
    headings = " ".join(re.findall(r"^#+ (.+)$", path.read_text(), flags=re.MULTILINE)).lower()
    for section in README_SECTIONS:
        if section not in headings:
            yield Finding(f"services/{service}/README.md", 1, "shape", f"no section '{section.capitalize()}'")

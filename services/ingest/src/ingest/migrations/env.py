"""Alembic's entry point."""

from ingest import tables
from shared.migrations import run_environment

run_environment(tables.METADATA)

"""Alembic's entry point for the routing schema."""

from routing import tables
from shared.migrations import run_environment

run_environment(tables.METADATA)

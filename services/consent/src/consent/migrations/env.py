"""Alembic's environment: the migrations run in the service's own schema."""

from consent import tables
from shared.migrations import run_environment

run_environment(tables.METADATA)

"""Alembic's environment: the migrations run in the service's own schema."""

from shared.migrations import run_environment
from sla_monitor import tables

run_environment(tables.METADATA)

"""A schema as PostgreSQL's catalog describes it, and what old code would stumble over in a newer one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import asyncpg

_COLUMNS = """
    SELECT relname AS "table", attname AS "column", format_type(atttypid, atttypmod) AS type, attnotnull AS is_required,
           pg_get_expr(adbin, adrelid) AS "default", attidentity::text || attgenerated::text AS made
    FROM pg_attribute
    JOIN pg_class ON pg_class.oid = attrelid
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE relnamespace = $1::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
      AND attnum > 0 AND NOT attisdropped AND relname <> 'alembic_version'
"""
_CONSTRAINTS = """
    SELECT relname AS "table", pg_get_constraintdef(pg_constraint.oid) AS rule,
           ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = conrelid AND attnum = ANY(conkey)) AS columns
    FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid
    WHERE relnamespace = $1::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition AND contype <> 'n'
"""
_UNIQUE_INDEXES = """
    SELECT relname AS "table", split_part(pg_get_indexdef(indexrelid), ' USING ', 2) AS rule,
           ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = indrelid AND attnum = ANY(indkey)) AS columns
    FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
    WHERE relnamespace = $1::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition AND indisunique
"""
_TRIGGERS = """
    SELECT relname AS "table", pg_get_triggerdef(pg_trigger.oid) AS rule
    FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
    WHERE relnamespace = $1::regnamespace AND NOT tgisinternal AND NOT relispartition
"""


@dataclass(frozen=True)
class Column:
    """What an old INSERT or SELECT relies on. ``made``: how PostgreSQL makes the value itself, if it does."""

    type: str
    is_required: bool
    default: str | None
    made: str

    @property
    def may_be_left_out(self) -> bool:
        return not self.is_required or self.default is not None or bool(self.made)


@dataclass(frozen=True)
class Schema:
    """Columns by table and name; constraints and unique indexes with their columns; triggers."""

    columns: Mapping[str, Mapping[str, Column]]
    rules: Mapping[tuple[str, str], frozenset[str]]
    triggers: frozenset[tuple[str, str]]


async def describe(connection: asyncpg.Connection, name: str) -> Schema:
    """Read the schema *name*, without alembic's own table and without day partitions."""
    columns: dict[str, dict[str, Column]] = {}
    for row in await connection.fetch(_COLUMNS, name):
        column = Column(row["type"], row["is_required"], row["default"], row["made"])
        columns.setdefault(row["table"], {})[row["column"]] = column
    found = [*await connection.fetch(_CONSTRAINTS, name), *await connection.fetch(_UNIQUE_INDEXES, name)]
    rules = {(row["table"], row["rule"]): frozenset(row["columns"]) for row in found if row["table"] in columns}
    triggers = frozenset((row["table"], row["rule"]) for row in await connection.fetch(_TRIGGERS, name))
    return Schema(columns, rules, triggers)


def find_breaks(old: Schema, new: Schema) -> list[str]:
    """Return what code written for *old* would stumble over in *new*; nothing if the schema was only expanded."""
    return sorted({*_column_breaks(old, new), *_rule_breaks(old, new)})


def _column_breaks(old: Schema, new: Schema) -> Iterator[str]:
    for table, columns in old.columns.items():
        if table not in new.columns:
            yield f"{table} is gone"
            continue
        found = new.columns[table]
        for name, column in columns.items():
            if name not in found:
                yield f"{table}.{name} is gone"
            elif found[name] != column:
                yield f"{table}.{name} was {column} and is {found[name]}"
        for name in found.keys() - columns.keys():
            if not found[name].may_be_left_out:
                yield f"{table}.{name} is new and must be given"


def _rule_breaks(old: Schema, new: Schema) -> Iterator[str]:
    for table, rule in old.rules.keys() - new.rules.keys():
        if table in new.columns:
            yield f"{table} has lost: {rule}"  # an old ON CONFLICT names it
    for (table, rule), columns in new.rules.items():
        if (table, rule) not in old.rules and columns & old.columns.get(table, {}).keys():
            yield f"{table} has a new rule for old columns: {rule}"
    for table, rule in old.triggers ^ new.triggers:
        if table in old.columns:
            yield f"{table} has another trigger: {rule}"

"""The tables of scoring. No schema is named: the search path is the service's own."""

from sqlalchemy import Boolean, Column, DateTime, Double, Index, LargeBinary, MetaData, Table, Text, Uuid

METADATA = MetaData()

lead_score = Table(
    "lead_score",
    METADATA,
    Column("lead_id", Uuid(as_uuid=False), primary_key=True),
    Column("decision_id", Uuid(as_uuid=False), nullable=False),
    Column("trigger", Text, nullable=False),
    Column("scored_at", DateTime(timezone=True), nullable=False),
    Column("model_version", Text, nullable=False),
    Column("points", Double, nullable=False),
    Column("raw", Double, nullable=False),
    Column("fit", Double, nullable=False),
    Column("engagement", Double, nullable=False),
    Column("grade", Text, nullable=False),
    Column("is_mql", Boolean, nullable=False),
    Column(
        "profile_id", Uuid(as_uuid=False), nullable=False, comment="the decision with the latest submission's profile"
    ),
    Column("lines", LargeBinary, nullable=False, comment="the explanation (MessagePack)"),
    Index("lead_score_by_points", "points", "lead_id"),
    comment="the latest decision of each lead",
)

score_decision = Table(
    "score_decision",
    METADATA,
    Column("lead_id", Uuid(as_uuid=False), primary_key=True),
    Column("decision_id", Uuid(as_uuid=False), primary_key=True),
    Column("trigger", Text, nullable=False),
    Column("scored_at", DateTime(timezone=True), nullable=False),
    Column("model_version", Text, nullable=False),
    Column("points", Double, nullable=False),
    Column("raw", Double, nullable=False),
    Column("fit", Double, nullable=False),
    Column("engagement", Double, nullable=False),
    Column("grade", Text, nullable=False),
    Column("is_mql", Boolean, nullable=False),
    Column("profile", LargeBinary, comment="who the lead is: set by a submission, used until the next (MessagePack)"),
    Index("score_decision_by_time", "scored_at", postgresql_using="brin"),
    comment="every decision, append-only: with the activities known by then it can be made again",
)

activity = Table(
    "activity",
    METADATA,
    Column("lead_id", Uuid(as_uuid=False), primary_key=True),
    Column("activity_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
    Column("known_at", DateTime(timezone=True), nullable=False),
    Column("detail", LargeBinary, comment="JSON object; null = none"),
    comment="what leads did, append-only; may be known before the lead is",
)

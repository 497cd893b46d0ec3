"""The service's own tables."""

from sqlalchemy import Column, DateTime, Index, Integer, LargeBinary, MetaData, Table, Text, Uuid

METADATA = MetaData()

lead = Table(
    "lead",
    METADATA,
    Column("lead_id", Uuid(as_uuid=False), primary_key=True),
    Column("version", Integer, nullable=False, comment="Rises with every change of the lead or one of its clocks."),
    Column("clock_count", Integer, nullable=False, comment="How many clocks it ever had."),
    Column(
        "journey", LargeBinary, nullable=False, comment="MessagePack: owners, endings and touches in order of time."
    ),
)

clock = Table(
    "clock",
    METADATA,
    Column("lead_id", Uuid(as_uuid=False), primary_key=True),
    Column("started_at", DateTime(timezone=True), nullable=False),
    Column("due_at", DateTime(timezone=True), nullable=False),
    Column("closed_at", DateTime(timezone=True), comment="Null while something still has to happen."),
    Column("met_at", DateTime(timezone=True), comment="When what the policy asks for happened, in time or late."),
    Column("number", Integer, primary_key=True, comment="Which of the lead's clocks it is."),
    Column("state", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("policy_id", Text, nullable=False),
    Column("policy_version", Text, nullable=False),
    Column("rep_id", Text),
    Column("clock_id", Text, nullable=False, comment="Record or assignment that started it, a dot, the stage."),
    Column("detail", LargeBinary, nullable=False, comment="MessagePack: inputs, instants, stop and history."),
)
Index("clock_open", clock.c.due_at, clock.c.lead_id, postgresql_where=clock.c.closed_at.is_(None))
Index("clock_started", clock.c.started_at, postgresql_using="brin")

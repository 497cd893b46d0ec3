"""The tables of scoring. No schema is named: the search path is the service's own."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSON, JSONB

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
    Column("probability", Double, comment="what the live predictive model said then; null = there was none"),
    Column("prediction_version", Integer, comment="of the predictive model that said so"),
    Index("lead_score_by_points", "points", "lead_id"),
    Index(
        "lead_score_by_probability",
        "prediction_version",
        "probability",
        "lead_id",
        postgresql_where=text("probability IS NOT NULL"),
    ),
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

job = Table(
    "job",
    METADATA,
    Column("job_id", Uuid(as_uuid=False), primary_key=True),
    Column("kind", Text, nullable=False, comment="one of scoring.jobs.registry"),
    Column("request", JSONB, nullable=False),
    Column("state", Text, nullable=False, server_default="queued"),
    Column("asked_by", Text, nullable=False),
    Column("asked_at", DateTime(timezone=True), nullable=False),
    Column("started_at", DateTime(timezone=True), comment="of the latest attempt"),
    Column("ended_at", DateTime(timezone=True)),
    Column("attempt", Integer, nullable=False, server_default="0", comment="whose writes count: the latest attempt's"),
    Column("losses", Integer, nullable=False, server_default="0", comment="how often its process died"),
    Column("beat_at", DateTime(timezone=True), comment="when its runner last looked after it; the database's clock"),
    Column("is_cancelled", Boolean, nullable=False, server_default=text("false")),
    Column("done", BigInteger, nullable=False, server_default="0"),
    Column("total", BigInteger, nullable=False, server_default="0"),
    Column("result", JSON),
    Column("error", Text),
    Index("job_by_kind", "kind", "job_id"),
    Index("job_running", "state", unique=True, postgresql_where=text("state = 'running'")),
    comment="long work: what was asked, how far it is, what came out",
)

outcome = Table(
    "outcome",
    METADATA,
    Column("lead_id", Uuid(as_uuid=False), primary_key=True),
    Column("activity_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("reason", Text, comment="the code that the CRM gave"),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
    Column("known_at", DateTime(timezone=True), nullable=False),
    Index("outcome_by_kind", "kind"),
    comment="what the CRM reported of leads, append-only; contradictions are kept and weighed when read",
)

outcome_catch_up = Table(
    "outcome_catch_up",
    METADATA,
    Column("is_only", Boolean, primary_key=True, server_default=text("true"), comment="there is one row"),
    Column("until", DateTime(timezone=True), nullable=False, comment="up to here no outcome is an activity only"),
    comment="how far outcomes that were stored before there was a place for them have been found",
)

prediction_model = Table(
    "prediction_model",
    METADATA,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("job_id", Uuid(as_uuid=False), nullable=False, unique=True, comment="the training that stored it"),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("created_by", Text, nullable=False),
    Column("refreshed_from", Integer, ForeignKey("prediction_model.version")),
    Column("outcome", Text, nullable=False, comment="what it foresees"),
    Column("since", DateTime(timezone=True), nullable=False, comment="leads decided from here on"),
    Column("learned_until", DateTime(timezone=True), nullable=False, comment="coefficients: decided before; refresh"),
    Column("until", DateTime(timezone=True), nullable=False, comment="outcomes known by then"),
    Column("model", JSON, nullable=False, comment="coefficients, calibrated"),
    Column("report", JSON, nullable=False, comment="numbers of leads, measures, what was left out"),
    Column("learned", LargeBinary, nullable=False, comment="what a refresh starts from (MessagePack)"),
    comment="predictive models, append-only",
)

live_prediction_model = Table(
    "live_prediction_model",
    METADATA,
    Column("slot", Integer, primary_key=True, autoincrement=False, server_default="1"),
    Column("version", Integer, ForeignKey("prediction_model.version"), comment="null = predictions are off"),
    Column("applied_at", DateTime(timezone=True), nullable=False),
    Column("applied_by", Text, nullable=False),
    Column("why", Text, nullable=False),
    comment="the predictive model in force: one row at most",
)

lead_account = Table(
    "lead_account",
    METADATA,
    Column("lead_id", Uuid(as_uuid=False), primary_key=True),
    Column("account", Uuid(as_uuid=False), comment="digest of the company's mail domain; null: it left its account"),
    Column("known_at", DateTime(timezone=True), nullable=False, comment="since when the lead belongs there"),
    Index("lead_account_by_account", "account", "lead_id"),
    comment="which account each lead belongs to, by its latest submission",
)

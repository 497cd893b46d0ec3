"""Ingest's settings."""

from pydantic import Field

from shared.settings import ServiceSettings, settings_config


class IngestSettings(ServiceSettings):
    """Environment variables ``INGEST_…``."""

    model_config = settings_config("INGEST_")

    port: int = Field(default=8001, description="Port the HTTP server listens on.")
    public_url: str = Field(
        default="http://127.0.0.1:8001",
        description="Scheme and host that senders post to. Some sign the full URL; the Host header is never believed.",
    )
    body_seconds: float = Field(default=10.0, gt=0, description="Longest time a client may take to send its body.")
    answer_seconds: float = Field(
        default=2.5, gt=0, description="Longest wait for the commit before answering 503 (Zoom gives up after 3 s)."
    )
    commit_batch: int = Field(
        default=200,
        ge=1,
        le=1000,
        description="Most submissions that share one commit (cost per row is flat from 100).",
    )
    queue_requests: int = Field(
        default=2000, ge=1, description="Submissions that may wait for a commit; beyond it the door answers 503."
    )
    queue_bytes: int = Field(
        default=64 << 20,
        ge=1 << 20,
        description="Bytes of bodies that may be in hand, half read or waiting for a commit; beyond it 503.",
    )
    queue_seconds: float = Field(
        default=1.0,
        gt=0,
        description="Longest that a submission may have waited for its commit before new ones are answered 503.",
    )
    outbox_bytes: int = Field(
        default=20 << 30,
        ge=1 << 20,
        description=(
            "Size of the outbox on disk above which the door answers 503;"
            " while Kafka is away it grows by 1.5 kB a lead."
        ),
    )
    submission_days: int = Field(default=30, ge=1, description="Days that raw submissions are kept.")
    delivery_days: int = Field(
        default=14, ge=2, description="Days that delivery keys are remembered (senders retry for at most 36 hours)."
    )
    default_country: str | None = Field(
        default=None,
        pattern="^[A-Z]{2}$",
        description="Country (alpha-2) whose national phone numbers a lead without a country writes.",
    )
    competitor_domains: frozenset[str] = Field(
        default=frozenset(), description="JSON list of registrable domains of competitors."
    )

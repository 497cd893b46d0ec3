"""Settings every service has. Each service adds its own under its prefix (``SCORING_…``)."""

import os

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


def settings_config(prefix: str) -> SettingsConfigDict:
    """Return the configuration of a service's settings class: environment only, unknown variables ignored."""
    return SettingsConfigDict(env_prefix=prefix, extra="ignore", populate_by_name=True, frozen=True)


class ServiceSettings(BaseSettings):
    """What a service needs to run. Fields without a fixed variable name are set as ``<PREFIX><FIELD>``."""

    model_config = settings_config("LEADRAIL_")

    host: str = Field(default="127.0.0.1", description="Address the HTTP server listens on.")
    port: int = Field(default=8000, description="Port the HTTP server listens on.")
    database_url: SecretStr = Field(
        default_factory=lambda: SecretStr(os.environ.get("DATABASE_URL", "")),
        description="PostgreSQL URL with the service's own role; `DATABASE_URL` when the prefixed one is unset.",
    )
    kafka_bootstrap_servers: str = Field(
        default="127.0.0.1:9092",
        validation_alias=AliasChoices("KAFKA_BOOTSTRAP_SERVERS"),
        description="Comma-separated host:port list of the Kafka brokers.",
    )
    kafka_topic_prefix: str = Field(
        default="",
        validation_alias=AliasChoices("KAFKA_TOPIC_PREFIX"),
        description="Put before every topic name and consumer group, so that two installations can share a broker.",
    )
    kafka_security_protocol: str = Field(
        default="PLAINTEXT",
        validation_alias=AliasChoices("KAFKA_SECURITY_PROTOCOL"),
        description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.",
    )
    kafka_sasl_mechanism: str = Field(
        default="SCRAM-SHA-512",
        validation_alias=AliasChoices("KAFKA_SASL_MECHANISM"),
        description="SASL mechanism, used with the SASL protocols.",
    )
    kafka_sasl_username: str | None = Field(
        default=None, validation_alias=AliasChoices("KAFKA_SASL_USERNAME"), description="SASL user."
    )
    kafka_sasl_password: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("KAFKA_SASL_PASSWORD"), description="SASL password."
    )
    secret_key: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=AliasChoices("LEADRAIL_SECRET_KEY"),
        description="Key (32 characters or more) that seals secrets at rest. Required.",
    )
    metrics_key: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("METRICS_KEY"),
        description="Bearer token for /metrics. Unset: /metrics answers loopback addresses only.",
    )
    log_level: str = Field(
        default="info", validation_alias=AliasChoices("LOG_LEVEL"), description="debug, info, warning or error."
    )
    batch_size: int = Field(
        default=500,
        ge=1,
        le=5000,
        description="Most events one consumer transaction takes (cost per row is flat from 100).",
    )
    poll_pace_ms: float = Field(
        default=2.0, ge=0, description="Pause between polls while events flow: larger batches, a third less CPU."
    )
    database_pool_size: int = Field(default=8, ge=2, description="Most PostgreSQL connections of this process.")
    requests_limit: int = Field(
        default=2000, ge=1, description="Requests in hand at a time; more are answered 503. Health and metrics are not."
    )
    turn_away_seconds: float = Field(
        default=0.0,
        ge=0,
        validation_alias=AliasChoices("LEADRAIL_TURN_AWAY_SECONDS"),
        description=(
            "How long a service that was told to stop still serves while `/readyz` says no and every answer says"
            " `Connection: close`: as long as a load balancer needs to notice. 0 where there is none."
        ),
    )
    shutdown_seconds: float = Field(
        default=20.0, gt=0, description="Longest time a shutdown may take to drain, after LEADRAIL_TURN_AWAY_SECONDS."
    )
    park_limit: int = Field(
        default=20, ge=1, description="Parked leads per minute above which the consumer pauses instead of parking more."
    )

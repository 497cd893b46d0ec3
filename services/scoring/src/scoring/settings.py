"""Settings of the scoring service."""

from pydantic import Field

from shared.settings import ServiceSettings, settings_config


class ScoringSettings(ServiceSettings):
    """Environment variables with the prefix ``SCORING_``."""

    model_config = settings_config("SCORING_")

    port: int = Field(default=8002, description="Port the HTTP server listens on.")

"""Settings of the scoring service."""

from pydantic import Field

from shared.settings import ServiceSettings, settings_config


class ScoringSettings(ServiceSettings):
    """Environment variables with the prefix ``SCORING_``."""

    model_config = settings_config("SCORING_")

    port: int = Field(default=8002, description="Port the HTTP server listens on.")
    job_retention_days: int = Field(
        default=90, ge=1, le=3650, description="Days a plan, backtest or training stays readable after it ended."
    )
    backtest_every_days: int = Field(
        default=7,
        ge=0,
        le=365,
        description="Days between two backtests of the live version that the service starts by itself; 0 = none.",
    )

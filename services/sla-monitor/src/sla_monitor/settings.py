"""Settings of the SLA monitor."""

from pydantic import Field

from shared.settings import ServiceSettings, settings_config


class SlaMonitorSettings(ServiceSettings):
    """Environment variables with the prefix ``SLA_MONITOR_``."""

    model_config = settings_config("SLA_MONITOR_")

    port: int = Field(default=8005, description="Port the HTTP server listens on.")
    census_seconds: float = Field(
        default=15.0, gt=0, description="Time between two counts of the running clocks for the metrics."
    )

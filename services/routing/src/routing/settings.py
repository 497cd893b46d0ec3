"""Settings of the routing service."""

from pydantic import Field

from shared.settings import ServiceSettings, settings_config


class RoutingSettings(ServiceSettings):
    """Environment variables ``ROUTING_…``."""

    model_config = settings_config("ROUTING_")

    port: int = Field(default=8004, description="Port the HTTP server listens on.")
    allowed_private_targets: str = Field(
        default="",
        description="Comma-separated hosts, host:port pairs or networks (10.1.0.0/16) that callbacks may go to although"
        " they are private or plain http. Empty: public https addresses only.",
    )
    callback_timeout_seconds: float = Field(
        default=15.0, gt=0, le=60, description="Longest time one callback attempt may take, connecting included."
    )
    callback_lease_seconds: float = Field(
        default=60.0, ge=5, description="After this time the callbacks that a killed worker had in hand are sent again."
    )
    callback_concurrency: int = Field(
        default=256, ge=1, le=2000, description="Most callbacks in flight at once in this process, over all endpoints."
    )

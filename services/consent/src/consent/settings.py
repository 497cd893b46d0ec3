"""Settings of the consent service."""

from pydantic import Field, SecretStr

from shared.secret_box import SecretBox
from shared.settings import ServiceSettings, settings_config


class ConsentSettings(ServiceSettings):
    """Environment variables with the prefix ``CONSENT_``."""

    model_config = settings_config("CONSENT_")

    port: int = Field(default=8003, description="Port the HTTP server listens on.")
    pepper: SecretStr | None = Field(
        default=None,
        description="Key of the suppression list's hashes; derived from LEADRAIL_SECRET_KEY when unset. Changing it "
        "makes every suppressed address unknown.",
    )

    def pepper_bytes(self) -> bytes:
        """Return the key of the suppression list."""
        if self.pepper is not None:
            return self.pepper.get_secret_value().encode()
        return SecretBox(self.secret_key.get_secret_value()).derive("consent pepper")

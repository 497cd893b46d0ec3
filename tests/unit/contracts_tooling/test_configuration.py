"""The configuration reference is made of the settings classes, secrets never shown."""

from typing import Literal

import pytest
from pydantic import AliasChoices, Field, SecretStr

from leadrail_tools.contracts.configuration import Undocumented, table_of
from shared.settings import ServiceSettings, settings_config


class FaxSettings(ServiceSettings):
    """Settings of a service that does not exist."""

    model_config = settings_config("FAX_")

    lines: int = Field(default=2, description="Lines | in use.")
    mode: Literal["fine", "fast"] = Field(default="fast", description="Quality.")
    token: SecretStr = Field(default=SecretStr("do-not-print"), description="Token.")
    dialer: str | None = Field(default=None, validation_alias=AliasChoices("DIALER"), description="Program.")
    countries: frozenset[str] = Field(default=frozenset({"DE", "AT"}), description="Where to.")


class SilentSettings(ServiceSettings):
    """Settings with an undocumented field."""

    model_config = settings_config("SILENT_")

    secret_switch: bool = False


def row(name: str) -> str:
    return table_of(FaxSettings, "FAX_", {name: FaxSettings.model_fields[name]}).splitlines()[2]


def test_a_variable_has_the_services_prefix() -> None:
    assert row("lines").startswith("| `FAX_LINES` | integer | `2` |")


def test_an_alias_replaces_the_prefix() -> None:
    assert row("dialer").startswith("| `DIALER` | text | unset |")


def test_lists_are_given_as_json() -> None:
    assert "| JSON list |" in row("countries")


def test_a_secret_is_never_shown() -> None:
    assert row("token").startswith("| `FAX_TOKEN` | secret | none |")


def test_choices_are_listed() -> None:
    assert "fine \\| fast" in row("mode")


def test_a_bar_in_a_description_does_not_break_the_table() -> None:
    assert "Lines \\| in use." in row("lines")


def test_the_order_of_a_sets_values_is_always_the_same() -> None:
    assert "`AT,DE`" in row("countries")


def test_a_setting_without_a_description_is_refused_by_name() -> None:
    fields = {"secret_switch": SilentSettings.model_fields["secret_switch"]}
    with pytest.raises(Undocumented, match="secret_switch"):
        table_of(SilentSettings, "SILENT_", fields)

"""Settings come from the environment, and never tell a secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.errors import ConfigurationError
from bot.settings import load_settings, secret_of


def test_defaults_run_the_embedded_mode(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VERSO_DATA_DIR", str(tmp_path))
    settings = load_settings(env_file=None)
    assert settings.database_url == f"sqlite:///{tmp_path / 'verso.db'}"
    assert settings.blobs_dir == tmp_path / "blobs"
    assert settings.discord.token is None


def test_nested_values_and_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERSO_SLACK__PORT", "3999")
    monkeypatch.setenv("VERSO_SLACK__MODERATORS", "U1, U2,,")
    monkeypatch.setenv("VERSO_MODERATORS", "ada")
    settings = load_settings(env_file=None)
    assert settings.slack.port == 3999
    assert settings.slack.moderators == {"U1", "U2"}
    assert settings.moderators == {"ada"}


def test_a_secret_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERSO_DISCORD__TOKEN", "very-secret")
    settings = load_settings(env_file=None)
    assert settings.discord.token is not None
    assert settings.discord.token.get_secret_value() == "very-secret"
    assert "very-secret" not in repr(settings) + str(settings.model_dump())


def test_a_wrong_value_names_its_variable_but_not_the_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERSO_SLACK__PORT", "ninety")
    with pytest.raises(ConfigurationError) as caught:
        load_settings(env_file=None)
    assert "VERSO_SLACK__PORT" in str(caught.value)
    assert "ninety" not in str(caught.value)


def test_settings_are_frozen() -> None:
    settings = load_settings(env_file=None)
    with pytest.raises(ValueError, match="frozen"):
        settings.log_level = "DEBUG"  # type: ignore[misc]


def test_an_api_key_is_read_from_the_environment_or_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / ".env"
    assert secret_of("IMAGE_KEY_OF_A_TEST", file) is None
    file.write_text("IMAGE_KEY_OF_A_TEST=from-${HOME}\n")
    assert secret_of("IMAGE_KEY_OF_A_TEST", file).get_secret_value() == "from-${HOME}"
    monkeypatch.setenv("IMAGE_KEY_OF_A_TEST", "from-the-environment")
    found = secret_of("IMAGE_KEY_OF_A_TEST", file)
    assert found.get_secret_value() == "from-the-environment"
    assert "from" not in repr(found)

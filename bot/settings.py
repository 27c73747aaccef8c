"""Every setting of Verso: environment variables or `.env`, prefix `VERSO_`, nested by `__`.

Everything has a default that runs the embedded mode: SQLite, a folder of blobs, one local engine.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from bot.errors import ConfigurationError

Names = Annotated[frozenset[str], NoDecode]
"""A comma-separated list in the environment."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _split(cls, value: object, info: object) -> object:
        field = cls.model_fields.get(getattr(info, "field_name", ""))
        if isinstance(value, str) and field is not None and field.annotation == frozenset[str]:
            return frozenset(part.strip() for part in value.split(",") if part.strip())
        return value


class Database(_Section):
    """Where rows lie."""

    url: str = ""  # empty: SQLite in the data folder


class Blobs(_Section):
    """Where pictures lie."""

    url: str = ""  # empty: a folder in the data folder; else a path


class Discord(_Section):
    """The Discord connection."""

    token: SecretStr | None = None
    guild_id: int | None = None  # sync commands to this server only: they appear at once
    moderator_roles: Names = frozenset()  # role ids


class Slack(_Section):
    """The Slack connection: Socket Mode with `app_token`, signed HTTP with `signing_secret`."""

    bot_token: SecretStr | None = None
    app_token: SecretStr | None = None
    signing_secret: SecretStr | None = None
    host: str = "127.0.0.1"
    port: int = Field(default=3000, ge=1, le=65535)
    moderators: Names = frozenset()  # user ids
    moderator_groups: Names = frozenset()  # user-group ids


class Web(_Section):
    """Where the web pages will be served."""

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=1, le=65535)


class Workspace(_Section):
    """Facts about the operator that license gates ask for."""

    commercial: bool = False
    territory: str = Field(default="", max_length=2)  # ISO 3166 alpha-2; empty: not stated
    revenue_usd: int | None = Field(default=None, ge=0)  # a year, with affiliates; None: not stated
    monthly_users: int | None = Field(default=None, ge=0)  # of the whole service; None: not stated


class Retention(_Section):
    """How long personal data is kept."""

    days: int = Field(default=365, ge=1, le=36500)
    quarantine_days: int = Field(default=365, ge=1, le=36500)  # preservation of what may be illegal
    uninstall_days: int = Field(
        default=30, ge=0, le=3650
    )  # from the app's removal to the erasure of all there
    backup_days: int = Field(default=35, ge=1, le=36500)  # how long a backup is kept
    backup_dir: Path | None = None  # folder of backups that `verso serve` lets expire; None: by hand


class PolicyFile(_Section):
    """The moderation policy."""

    path: Path | None = None  # a TOML file; None: the preset
    preset: Literal["community", "workplace"] = "community"


class CatalogFile(_Section):
    """More models than the embedded one."""

    path: Path | None = None


class LicensesFolder(_Section):
    """More licenses of models than those that ship."""

    path: Path | None = None  # a folder of TOML files, see docs/licenses.md


class Quota(_Section):
    """What one person may ask for."""

    images_per_day: int = Field(default=100, ge=1)
    jobs_in_flight: int = Field(default=3, ge=1)


class LookupSettings(_Section):
    """Who made this picture."""

    per_hour: int = Field(default=20, ge=1)  # times one member may ask in a chat


class PlansFile(_Section):
    """Plans of persons and ceilings of channels and workspaces."""

    path: Path | None = None  # a TOML file, see `bot.plans`; None: `quota` holds for everybody


class EngineSettings(_Section):
    """The local engine."""

    device: str = ""  # empty: CUDA where there is one, else the CPU
    threads: int = Field(default=0, ge=0)  # 0: as many as there are cores


class KeysSettings(_Section):
    """Who guards the vault's key."""

    command: str = ""  # a program in front of a key service, see docs/operating.md; empty: the key folder


class LedgerSettings(_Section):
    """Where checkpoints are shown to the public, and who dates them."""

    publish_hours: float = Field(default=24, ge=0, le=8760)  # 0: never
    publish_file: Path | None = None  # None: checkpoints.jsonl in the data folder
    publish_channels: Names = frozenset()  # platform:workspace:channel
    timestamp_url: str = ""  # a time-stamping authority (RFC 3161); empty: none
    timestamp_roots: Path | None = None  # its root certificates, PEM


class Settings(BaseSettings):
    """The whole tree; frozen, and secrets print as stars."""

    model_config = SettingsConfigDict(
        env_prefix="VERSO_",
        env_nested_delimiter="__",
        env_file=".env",
        env_file_encoding="utf-8",
        extra="ignore",
        frozen=True,
    )

    data_dir: Path = Path("data")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    organisation: str = Field(default="A Verso operator", min_length=1, max_length=64)  # signs credentials
    database: Database = Database()
    blobs: Blobs = Blobs()
    discord: Discord = Discord()
    slack: Slack = Slack()
    web: Web = Web()
    workspace: Workspace = Workspace()
    retention: Retention = Retention()
    policy: PolicyFile = PolicyFile()
    catalog: CatalogFile = CatalogFile()
    licenses: LicensesFolder = LicensesFolder()
    quota: Quota = Quota()
    lookup: LookupSettings = LookupSettings()
    plans: PlansFile = PlansFile()
    engine: EngineSettings = EngineSettings()
    ledger: LedgerSettings = LedgerSettings()
    keys: KeysSettings = KeysSettings()
    clip_folder: Path | None = None  # a CLIP model that orders the pictures of every model
    moderators: Names = (
        frozenset()
    )  # terminal user names that may decide reviews; empty: whoever has the shell

    moderator_channels: Names = frozenset()  # platform:workspace:channel, for the daily digest and alerts

    @field_validator("moderators", "moderator_channels", mode="before")
    @classmethod
    def _split_moderators(cls, value: object) -> object:
        if isinstance(value, str):
            return frozenset(part.strip() for part in value.split(",") if part.strip())
        return value

    @property
    def database_url(self) -> str:
        """The database URL, with the default filled in."""
        return self.database.url or f"sqlite:///{(self.data_dir / 'verso.db').absolute()}"

    @property
    def blobs_dir(self) -> Path:
        """The folder of the blob store."""
        return Path(self.blobs.url.removeprefix("file://")) if self.blobs.url else self.data_dir / "blobs"

    @property
    def erasure_folders(self) -> tuple[Path, ...]:
        """Where the list of erasures is kept: beside the database, and beside the backups that it guards."""
        backups = self.retention.backup_dir
        return (self.data_dir, backups) if backups else (self.data_dir,)

    @property
    def checkpoints_file(self) -> Path:
        """The public file of checkpoints."""
        return self.ledger.publish_file or self.data_dir / "checkpoints.jsonl"

    @property
    def keys_dir(self) -> Path:
        """The folder of the keys, outside the database."""
        return self.data_dir / "keys"


def load_settings(env_file: Path | None = Path(".env")) -> Settings:
    """Read the settings.

    Raises:
        ConfigurationError: a variable has a value that cannot be used; its name and the reason are told,
            the value is not.
    """
    try:
        return Settings(_env_file=env_file)  # type: ignore[call-arg]  # pydantic's own, unknown to mypy
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = "VERSO_" + "__".join(str(part) for part in first["loc"]).upper()
        raise ConfigurationError(f"{name}: {first['msg']}", setting=name) from None


def secret_of(name: str, env_file: Path = Path(".env")) -> SecretStr | None:
    """An API key from the environment or from `.env`, where the other settings stand; None: it is not set."""
    value = os.environ.get(name)
    if value is None and env_file.is_file():
        value = dotenv_values(env_file, interpolate=False).get(name)
    return SecretStr(value) if value else None

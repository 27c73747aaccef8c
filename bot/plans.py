"""Who may ask for how much: plans of persons, and ceilings of channels and workspaces, read from TOML."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bot.conversation import Origin
from bot.errors import ConfigurationError

_Weight = Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)]
_Images = Annotated[int, Field(ge=0)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Plan(_Section):
    """What one person may ask for."""

    images_per_day: _Images = 100
    jobs_in_flight: Annotated[int, Field(ge=1)] = 3
    weight: _Weight = 1.0  # share of the machine beside the others of the workspace
    roles: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()

    def held_by(self, origin: Origin) -> bool:
        """Whether this person holds the plan."""
        where = origin.workspace_id
        return f"{where}/{origin.user_id}" in self.users or any(
            f"{where}/{role}" in self.roles for role in origin.roles
        )


class WorkspaceCeiling(_Section):
    """What a whole workspace may ask for."""

    images_per_day: _Images | None = None  # None: no ceiling
    weight: _Weight = 1.0  # share of the machine beside other workspaces


class ChannelCeiling(_Section):
    """What may be asked for in one channel."""

    images_per_day: _Images | None = None


class Plans(_Section):
    """All plans of an operator."""

    default: Plan = Plan()
    plans: Mapping[str, Plan] = Field(default_factory=dict)
    workspaces: Mapping[str, WorkspaceCeiling] = Field(default_factory=dict)
    channels: Mapping[str, ChannelCeiling] = Field(default_factory=dict)

    @classmethod
    def load(cls, path: Path | None, *, default: Plan) -> Plans:
        """Read a file of plans; None: everybody has the default.

        Raises:
            ConfigurationError: the file is missing, is no TOML, or has a field or value that is not known.
        """
        if path is None:
            return cls(default=default)
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
            return cls.model_validate({"default": default, **content})
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigurationError(
                f"the plans in {path} cannot be read: {error}", setting="VERSO_PLANS__PATH"
            ) from None
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ConfigurationError(
                f"{path}: {where}: {first['msg']}", setting="VERSO_PLANS__PATH"
            ) from None

    def of(self, origin: Origin) -> Plan:
        """The plan of a person in this place."""
        held = (plan for plan in self.plans.values() if plan.held_by(origin))
        return next(held, self.default)

    def workspace(self, origin: Origin) -> WorkspaceCeiling:
        """The ceiling of the workspace."""
        return self.workspaces.get(origin.workspace_id, WorkspaceCeiling())

    def channel(self, origin: Origin) -> ChannelCeiling:
        """The ceiling of the channel."""
        return self.channels.get(channel_key(origin), ChannelCeiling())


def channel_key(origin: Origin) -> str:
    """A channel's name for quotas: "workspace/channel"; empty outside a channel."""
    return f"{origin.workspace_id}/{origin.channel_id}" if origin.channel_id else ""

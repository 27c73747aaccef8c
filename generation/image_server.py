"""What a card says about an image server that draws for it: the `[model.server]` table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit, urlunsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

Sent = Literal["seed", "negative_prompt", "num_inference_steps", "guidance_scale", "strength"]
"""What a request holds beyond OpenAI's own fields; each is sent only where the card names it."""

_PORTS: Final = {"http": 80, "https": 443}
_OWN_FIELDS: Final = frozenset({"prompt", "model", "n", "size", "response_format", "image", "mask"})


class ImageServer(BaseModel):
    """An image server with OpenAI's interface, and which of our fields it understands."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    base_url: Annotated[str, Field(max_length=500)]  # as clients of OpenAI write it: ends in /v1
    model: Annotated[str, Field(min_length=1, max_length=200)]  # the server's name for it
    api_key_env: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,99}$")] | None = None  # variable's name
    fields: Mapping[Sent, Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]] = Field(
        default_factory=dict
    )  # our name -> the server's
    in_flight: Annotated[int, Field(ge=1, le=64)] = 2  # requests that it gets at once
    timeout_s: Annotated[float, Field(ge=1, le=3600, allow_inf_nan=False)] = (
        300.0  # of one picture, with retries
    )
    max_bytes: Annotated[int, Field(ge=64 * 1024, le=256 * 1024 * 1024)] = 48 * 1024 * 1024  # of an answer

    @field_validator("base_url")
    @classmethod
    def _plain_address(cls, value: str) -> str:
        try:
            parts = urlsplit(value)
            port = parts.port
        except ValueError as error:
            raise ValueError(f"{error}") from None
        if parts.scheme not in _PORTS or not parts.hostname or port == 0:
            raise ValueError("must be an address such as http://127.0.0.1:8080/v1")
        if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
            raise ValueError("must hold no password, query or fragment: a key goes into api_key_env")
        return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/") or "/v1", "", ""))

    @field_validator("api_key_env")
    @classmethod
    def _not_ours(cls, value: str | None) -> str | None:
        if value is not None and value.startswith("VERSO_"):
            raise ValueError("names a secret of Verso's own, which is never sent to another server")
        return value

    @field_validator("fields")
    @classmethod
    def _no_clash(cls, value: Mapping[Sent, str]) -> Mapping[Sent, str]:
        names = list(value.values())
        if len(set(names)) < len(names) or _OWN_FIELDS & set(names):
            raise ValueError(f"two fields may not have one name, nor any of {', '.join(sorted(_OWN_FIELDS))}")
        return value

    def serves(self, url: str) -> bool:
        """Whether an address lies on this server: the same scheme, host and port."""
        try:
            return _origin(url) == _origin(self.base_url)
        except ValueError:
            return False


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname or parts.username is not None or "\\" in url:
        raise ValueError("no plain address")
    port = parts.port
    return parts.scheme, parts.hostname, _PORTS[parts.scheme] if port is None else port

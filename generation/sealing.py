"""Turns requests and picture details into bytes and back, to be sealed under the requester's key."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Row

from generation.errors import StoredFormatError
from generation.job import Credit, ImageRequest, Job, JobStatus, StoredImage

Seal = Callable[[str, bytes], Awaitable[bytes]]
"""(pseudonym, data) -> sealed data."""

Unseal = Callable[[str, bytes], Awaitable[bytes]]
"""(pseudonym, sealed data) -> data; raises for an erased user."""

Columns = Mapping[str, Any]
"""A row of a table, by the names of its columns."""

_PLAIN_COLUMNS = (
    "id", "workspace_id", "user_id", "attempt", "fence", "created_ms", "error_code"
)  # fmt: skip
_RESULT_COLUMNS = ("index", "blob", "seed", "width", "height", "pixels_sha256")


def request_to_bytes(request: ImageRequest) -> bytes:
    """Serialise as JSON."""
    return json.dumps(asdict(request), ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8", "surrogatepass"
    )


def request_from_bytes(data: bytes) -> ImageRequest:
    """Read what `request_to_bytes` wrote.

    Raises:
        StoredFormatError: the bytes are not a request.
    """
    try:
        values: dict[str, object] = json.loads(data.decode("utf-8", "surrogatepass"))
        fields = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        return ImageRequest(**fields)  # type: ignore[arg-type]  # JSON's own types; wrong ones fail later
    except (ValueError, TypeError, AttributeError) as error:
        raise StoredFormatError("the stored request cannot be read") from error


def details_to_bytes(image: StoredImage) -> bytes:
    """Serialise a picture's credits, note and profile as JSON."""
    details = {
        "credits": [asdict(credit) for credit in image.credits],
        "note": image.note,
        "profile": dict(image.profile),
    }
    return json.dumps(details, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def details_from_bytes(data: bytes) -> tuple[tuple[Credit, ...], str | None, dict[str, object]]:
    """Read what `details_to_bytes` wrote: credits, note, profile.

    Raises:
        StoredFormatError: the bytes are not details.
    """
    try:
        details = json.loads(data.decode("utf-8", "surrogatepass"))
        return (
            tuple(Credit(**credit) for credit in details["credits"]),
            details["note"],
            dict(details["profile"]),
        )
    except (ValueError, TypeError, KeyError) as error:
        raise StoredFormatError("the stored details of a picture cannot be read") from error


class Envelope:
    """Seals what the queue stores about a person, and opens it again."""

    def __init__(self, *, seal: Seal, unseal: Unseal) -> None:
        self._seal = seal
        self._unseal = unseal

    async def close(self, user_id: str, request: ImageRequest, reply_to: bytes) -> dict[str, bytes]:
        """The sealed columns of a job."""
        return {
            "sealed_request": await self._seal(user_id, request_to_bytes(request)),
            "sealed_reply_to": await self._seal(user_id, reply_to),
        }

    async def open_job(self, columns: Columns) -> Job:
        """A row of `jobs`, by column names, as a value."""
        user_id = columns["user_id"]
        return Job(
            request=request_from_bytes(await self._unseal(user_id, columns["sealed_request"])),
            reply_to=await self._unseal(user_id, columns["sealed_reply_to"]),
            status=JobStatus(columns["status"]),
            cancel_requested=bool(columns["cancel_requested"]),  # SQLite's own driver knows numbers only
            **{name: columns[name] for name in _PLAIN_COLUMNS},
        )

    async def close_images(self, user_id: str, images: Sequence[StoredImage]) -> list[dict[str, object]]:
        """The rows of `results` for a job's pictures, without the job id."""
        return [
            {name: getattr(image, name) for name in _RESULT_COLUMNS}
            | {"sealed_details": await self._seal(user_id, details_to_bytes(image))}
            for image in images
        ]

    async def open_image(self, user_id: str, row: Row[*tuple[object, ...]]) -> StoredImage:
        """A row of `results` as a value."""
        columns = row._mapping  # noqa: SLF001 - the public name of a row's mapping
        details = details_from_bytes(await self._unseal(user_id, columns["sealed_details"]))
        return StoredImage(
            credits=details[0],
            note=details[1],
            profile=details[2],
            **{name: columns[name] for name in _RESULT_COLUMNS},
        )

"""Downloads a model's folder from a hub, as its card pins it: nothing that the card does not name by digest.

Files arrive in a folder beside the final one, which a broken download finds again and goes on in. The final
folder appears at once, when every digest is right.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from generation.card import weights_digest
from generation.errors import ModelFetchError
from generation.hub_source import HubSource

ACCEPTED_FILE = ".license-accepted.json"  # hidden: it is no part of the weights' digest
_SPARE_BYTES = 256 * 2**20  # left free on the disk


@dataclass(frozen=True, kw_only=True, slots=True)
class Fetch:
    """What to download, and where to."""

    model_id: str
    hub: HubSource
    revision: str  # of the repository: a commit, 40 hex digits
    folder: Path
    weights_sha256: str | None  # of the whole folder, if the card has it

    @property
    def staging(self) -> Path:
        """Where the files arrive."""
        return self.folder.with_name(f".{self.folder.name}.fetch")


def fetch(order: Fetch, *, license_accepted: dict[str, str], say: Callable[[str], None]) -> str:
    """Download what is missing, check everything, and put the folder in its place.

    Args:
        order: what to download.
        license_accepted: which terms the operator has accepted, and when; kept in the folder.
        say: told each file that is about to be downloaded; the hub's client shows a progress bar on stderr.

    Returns:
        The digest of the folder, see `weights_digest`.

    Raises:
        ModelFetchError: the folder is there already, the revision is not a commit, the disk is too small, the
            hub does not answer or has no such file, or a file is not the one that the card names.
    """
    if order.folder.exists():
        raise ModelFetchError(order.model_id, f"the folder {order.folder} is there already")
    if len(order.revision) != 40 or set(order.revision) - set("0123456789abcdef"):
        raise ModelFetchError(order.model_id, "the card's revision must be a commit: 40 hex digits")
    staging = order.staging
    staging.mkdir(parents=True, exist_ok=True)
    missing = [name for name, digest in order.hub.files.items() if _sha256(staging / name) != digest]
    _download(order, missing, say)
    for name, digest in order.hub.files.items():
        if _sha256(staging / name) != digest:
            (staging / name).unlink(missing_ok=True)
            raise ModelFetchError(
                order.model_id, f"{name} is not the file that the card names: its SHA-256 differs"
            )
    shutil.rmtree(staging / ".cache", ignore_errors=True)  # the client's notes on the download
    strangers = {p.relative_to(staging).as_posix() for p in staging.rglob("*") if p.is_file()} - set(
        order.hub.files
    )
    if strangers - {ACCEPTED_FILE}:
        raise ModelFetchError(order.model_id, f"{staging} holds files that the card does not name")
    digest = weights_digest(staging)
    if order.weights_sha256 not in {None, digest}:
        raise ModelFetchError(order.model_id, f"weights_sha256 is {digest}, not {order.weights_sha256}")
    (staging / ACCEPTED_FILE).write_text(json.dumps(license_accepted, indent=1), "utf-8")
    staging.rename(order.folder)
    return digest


def _download(order: Fetch, missing: list[str], say: Callable[[str], None]) -> None:
    if not missing:
        return
    hub = _online()
    try:
        sizes = {
            name: hub.get_hf_file_metadata(hub.hf_hub_url(order.hub.repo, name, revision=order.revision)).size
            or 0
            for name in missing
        }
        _need_room(order, sum(sizes.values()))
        for name in missing:
            say(f"{name} ({sizes[name] / 2**20:.1f} MiB)")
            hub.hf_hub_download(
                order.hub.repo, name, revision=order.revision, local_dir=order.staging, library_name="verso"
            )
    except ModelFetchError:
        raise
    except Exception as error:  # the hub's client and its HTTP library raise dozens of classes
        status = int(getattr(getattr(error, "response", None), "status_code", 0))
        why = {
            401: "the hub wants an access token of its own: set HF_TOKEN",
            403: "the hub refuses: accept the model's terms there and set HF_TOKEN",
            404: "the hub has no such repository, revision or file",
        }.get(status, f"the download broke off ({type(error).__name__}); run it again to go on")
        raise ModelFetchError(order.model_id, why) from error


def _online() -> ModuleType:
    """The hub's client: the one place that goes online, for a command that says so."""
    os.environ.update({"HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"})
    import huggingface_hub  # noqa: PLC0415 - reads the environment
    import huggingface_hub.constants  # noqa: PLC0415

    huggingface_hub.constants.HF_HUB_OFFLINE = False  # in case something imported it before us
    huggingface_hub.constants.HF_HUB_DISABLE_XET = True
    return huggingface_hub


def _need_room(order: Fetch, needed: int) -> None:
    free = shutil.disk_usage(order.staging).free
    if needed + _SPARE_BYTES > free:
        raise ModelFetchError(
            order.model_id,
            f"the disk has {free / 2**30:.1f} GiB free and {needed / 2**30:.1f} GiB are to be downloaded",
        )


def _sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        return None

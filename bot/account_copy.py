"""A person's copy of their record: JSON for programs, a gallery for people, and the signed pictures."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from attribution.errors import LicenseError
from attribution.licenses import LicenseCatalog
from bot.gallery_page import LicenseOf, file_name, gallery_page
from bot.usecases.account import AccountView, Picture
from bot.words import iso

LOG, PAGE, PICTURES = "usage-log.json", "gallery.html", "pictures"
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)


def account_json(view: AccountView, pictures: Sequence[Picture] = ()) -> dict[str, object]:
    """A usage log as JSON, with the facts of the pictures."""
    return {
        "subject": view.subject,
        "platform": view.platform,
        "workspace": view.workspace_id,
        "name": view.name,
        "events": [
            {
                "at_ms": line.at_ms,
                "kind": line.kind,
                "public": dict(line.public),
                "private": dict(line.private),
                "leaf_index": line.leaf_index,
            }
            for line in view.lines
        ],
        "pictures": [_picture(picture) for picture in pictures],
    }


def _picture(picture: Picture) -> dict[str, object]:
    release, credited = picture.release, picture.credited
    near = credited.nearest if credited else None
    return {
        "image_id": release.image_id,
        "job_id": release.job_id,
        "created_at": iso(release.created_ms),
        "status": picture.status,
        "file": f"{PICTURES}/{file_name(picture)}" if picture.png is not None else None,
        "prompt": picture.prompt,
        "negative_prompt": picture.negative_prompt,
        "seed": picture.seed,
        "width": release.width,
        "height": release.height,
        "sha256": release.sha256,
        "model": release.model_id,
        "license": {"id": release.license_id, "version": release.license_version},
        "credits": [
            {
                "title": one.title,
                "author": one.author,
                "license": one.license,
                "license_url": one.license_url,
                "source": one.source,
                "share": round(one.share, 4),
            }
            for one in (credited.references if credited else ())
        ],
        "nearest": None if near is None else [one.to_json() for one in near],
        "receipt": release.receipt.to_json(),
    }


def names_of(licenses: LicenseCatalog) -> LicenseOf:
    """Names licenses; one that this version no longer knows goes by its id."""

    def named(license_id: str) -> tuple[str, str]:
        try:
            found = licenses.get(license_id)
        except LicenseError:
            return license_id, ""
        return found.name, found.url

    return named


def copy_files(
    view: AccountView, pictures: Sequence[Picture], *, license_of: LicenseOf, made_ms: int
) -> Mapping[str, bytes]:
    """Everything of a person by file name: the log, the gallery, and each picture that may be shown."""
    files = {
        LOG: json.dumps(account_json(view, pictures), ensure_ascii=False, indent=2).encode(),
        PAGE: gallery_page(view, pictures, license_of=license_of, made_ms=made_ms, files=True).encode(),
    }
    files |= {f"{PICTURES}/{file_name(one)}": one.png for one in pictures if one.png is not None}
    return files


def copy_zip(files: Mapping[str, bytes], *, limit: int) -> tuple[bytes, int]:
    """A zip of at most `limit` bytes, and how many files it had to leave out, the last ones first."""
    kept = list(files)
    while True:
        data = _zip({name: files[name] for name in kept})
        if len(data) <= limit or len(kept) == 1:
            return data, len(files) - len(kept)
        # Pictures do not shrink in a zip: leave out as many as stand for what is too much.
        excess = len(data) - limit
        while len(kept) > 1 and excess > 0:
            excess -= len(files[kept.pop()])


def write_copy(files: Mapping[str, bytes], folder: Path) -> None:
    """Write the files of a copy into a folder, readable by its owner alone."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        path.write_bytes(data)


def _zip(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name, _EPOCH)
            info.external_attr = 0o600 << 16
            info.compress_type = zipfile.ZIP_STORED if name.endswith(".png") else zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return out.getvalue()

"""What an authority gets of a quarantine case: facts, words and picture in one zip."""

from __future__ import annotations

import io
import json
import zipfile

from moderation.quarantine import Case


def case_file(case: Case, *, words: bytes, picture: bytes | None) -> bytes:
    """A zip of `case.json` (ids, times, digests), `words.json` as preserved, and `picture.png` if any."""
    facts = {
        "case": case.id,
        "workspace": case.workspace_id,
        "subject": case.subject,
        "job_id": case.job_id,
        "image_id": case.image_id,
        "decision_id": case.decision_id,
        "category": str(case.category),
        "actor": case.actor,
        "created_ms": case.created_ms,
        "keep_until_ms": case.keep_until_ms,
        "digests": dict(case.digests),
    }
    members = {"case.json": json.dumps(facts, indent=2).encode(), "words.json": words}
    if picture is not None:
        members["picture.png"] = picture
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()

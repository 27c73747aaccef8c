"""Draws one job for the terminal: asks, waits, shows the pictures or the reason why not."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from PIL import Image

from bot.card import DrawnImage, card_fields
from bot.cli.output import (
    JobProgress,
    console,
    errors,
    half_blocks,
    print_json,
    show_fields,
    show_reply,
)
from bot.compose import open_app
from bot.composition.app import App
from bot.conversation import Progress, Reply
from bot.platforms.terminal import TerminalPlatform
from bot.serve import draw
from bot.settings import load_settings
from bot.usecases.outcomes import Accepted, Blocked, Held, ImagineOutcome, TermsRequired
from bot.words import iso
from generation.job import JobStatus
from moderation.types import Verdict

BLOCKED, HELD, TERMS = 3, 4, 5


class _Watch:
    """Collects what the terminal platform is told about one job."""

    def __init__(self, bar: JobProgress) -> None:
        self._bar, self._started = bar, time.monotonic()
        self.notices: list[Reply] = []
        self.queued_s = self.first_preview_s = 0.0

    def progress(self, progress: Progress) -> None:
        self._bar.show(progress)
        elapsed = time.monotonic() - self._started
        if progress.place == 0 and not self.queued_s:
            self.queued_s = elapsed
        if progress.preview is not None and not self.first_preview_s:
            self.first_preview_s = elapsed

    def elapsed(self) -> float:
        return time.monotonic() - self._started


async def run_job(ask: Callable[[App], Awaitable[ImagineOutcome]], *, as_json: bool, wait: bool) -> int:
    """Ask, draw with a worker of this process, and show the result; the command's exit code."""
    with JobProgress(enabled=not as_json) as bar:
        watch = _Watch(bar)
        platform = TerminalPlatform(on_progress=watch.progress, on_notice=watch.notices.append)
        async with open_app(load_settings(), platforms=[platform]) as app:
            outcome = await ask(app)
            if isinstance(outcome, Held) and wait:
                outcome = await _decided(app, outcome)
            if not isinstance(outcome, Accepted):
                return _refused(app, outcome, as_json=as_json)
            if outcome.paused:
                errors.print(
                    "The drawing is paused; your request keeps its place. `verso queue resume` goes on, "
                    "Ctrl-C leaves it waiting.",
                    style="yellow",
                )
            async with working(app):
                await app.courier.announce(outcome.job)
                return await _finished(app, outcome, watch, bar, as_json=as_json)


@contextlib.asynccontextmanager
async def working(app: App) -> AsyncIterator[None]:
    """A local worker and courier for the terminal's jobs, beside any running `verso serve`."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(draw(app, stop, workspace="terminal"))
        tasks.create_task(app.courier.run(stop))
        try:
            yield
        finally:
            stop.set()


async def _decided(app: App, held: Held) -> ImagineOutcome:
    errors.print(f"Held for a moderator: review {held.review_id}. Waiting for the decision.")
    while True:
        review = await app.reviews.get(held.review_id)
        if not review.open and review.status != "approved":
            return held
        if review.status == "approved":
            job = await app.queue.find(f"review:{held.review_id}")
            if job is not None:
                card = app.catalog.get(job.request.model_id)
                return Accepted(
                    job=job,
                    place=0,
                    eta_s=None,
                    model=card,
                    license=app.licenses.get(card.license_id),
                    verdict=held.verdict,
                    created=True,
                )
        await asyncio.sleep(1)


async def _finished(app: App, outcome: Accepted, watch: _Watch, bar: JobProgress, *, as_json: bool) -> int:
    settled = await app.courier.settled(outcome.job.id)
    bar.done()
    paths = {Path(name).name: Path(name) for name in json.loads(settled.post or "{}").get("files", ())}
    document = await _document(app, outcome, watch, paths, drawn=settled.images)
    if settled.images:
        document["status"] = "posted"
        if as_json:
            print_json(document)
        else:
            _show(outcome, settled.images, paths)
        return 0
    job = await app.queue.get(outcome.job.id)
    status = job.status if job else JobStatus.FAILED
    notice = watch.notices[-1] if watch.notices else Reply(text="The picture could not be drawn.", tone="bad")
    if settled.reviews:
        document["status"], document["review_id"] = "held", settled.reviews[0]
        document["verdict"] = verdict_json(max(settled.verdicts, key=lambda v: v.action))
    elif settled.verdicts:
        document["status"] = "blocked"
        document["verdict"] = verdict_json(max(settled.verdicts, key=lambda v: v.action))
    else:
        document["status"] = "cancelled" if status is JobStatus.CANCELLED else "failed"
        document["error"] = {"code": (job.error_code if job else None) or "failed", "message": notice.text}
    if as_json:
        print_json(document)
    else:
        show_reply(notice, to=errors)
        for review in settled.reviews:
            errors.print(f"A moderator decides with: verso review approve {review}", style="dim")
    if settled.reviews:
        return HELD
    return BLOCKED if settled.verdicts else 1


def _show(outcome: Accepted, images: tuple[DrawnImage, ...], paths: dict[str, Path]) -> None:
    if console.color_system is not None:  # without colors it would be a gray block
        for image in images:
            console.print(half_blocks(image.png))
    for note in dict.fromkeys(image.note for image in images if image.note):
        console.print(note, style="yellow", markup=False)
    show_fields("", card_fields(model=outcome.model, license_=outcome.license, images=images))
    for path in paths.values():
        console.print(str(path), soft_wrap=True, style="bold green", markup=False)


def _refused(app: App, outcome: ImagineOutcome, *, as_json: bool) -> int:
    reply = app.replies.imagine(outcome)
    document: dict[str, object] = {"job_id": None, "review_id": None, "images": []}
    code = 1
    match outcome:
        case TermsRequired():
            code, document["status"] = TERMS, "terms_required"
            document["license"] = {
                "id": outcome.license.id,
                "name": outcome.license.name,
                "url": outcome.license.url,
                "notice": outcome.license.notice,
                "accepted_at": None,
            }
            document["terms"] = outcome.license.terms_text
        case Blocked():
            code, document["status"], document["verdict"] = BLOCKED, "blocked", verdict_json(outcome.verdict)
        case Held():
            code, document["status"], document["verdict"] = HELD, "held", verdict_json(outcome.verdict)
            document["review_id"] = outcome.review_id
        case _:
            document |= {"status": "failed", "error": {"code": type(outcome).__name__, "message": reply.text}}
    if as_json:
        print_json(document)
        return code
    show_reply(reply, to=errors)
    if code == TERMS:
        errors.print("To accept these terms, run the same command with --accept-terms.", style="bold")
    if code == HELD:
        errors.print(f"A moderator decides with: verso review approve {document['review_id']}", style="dim")
    return code


def verdict_json(verdict: Verdict) -> dict[str, object]:
    """A verdict as INTERFACES.md writes it."""
    return {
        "action": verdict.action.name.lower(),
        "findings": [
            {"rule": f.rule, "category": str(f.category), "score": round(f.score, 4), "clause": f.clause}
            for f in verdict.findings
        ],
    }


async def _nearest(app: App, image_id: str) -> list[dict[str, str | float | bool]] | None:
    """The training pictures nearest to a picture; None: its model has no index of them."""
    near = (await app.credits.of_image(image_id)).nearest
    return None if near is None else [one.to_json() for one in near]


async def _document(
    app: App, outcome: Accepted, watch: _Watch, paths: dict[str, Path], *, drawn: tuple[DrawnImage, ...]
) -> dict[str, object]:
    license_ = outcome.license
    acceptance = await app.acceptances.of(outcome.job.user_id, license_.id, license_.version)
    images: list[dict[str, object]] = []
    for image in drawn:
        release = image.release
        with Image.open(io.BytesIO(image.png)) as picture:
            width, height = picture.size
        path = paths.get(f"verso-{release.image_id}.png")
        images.append(
            {
                "image_id": release.image_id,
                "path": str(path) if path else None,
                "sha256": release.sha256,
                "pixels_sha256": release.pixels_sha256,
                "seed": image.seed,
                "width": width,
                "height": height,
                "credits": [
                    {
                        "title": c.title,
                        "author": c.author,
                        "license": c.license,
                        "source": c.source,
                        "share": round(c.share, 4),
                    }
                    for c in image.credits
                ],
                "note": image.note,
                "similarity": image.similarity,
                "rank": image.rank,
                "nearest": await _nearest(app, release.image_id),
                "receipt": release.receipt.to_json(),
            }
        )
    return {
        "job_id": outcome.job.id,
        "status": "posted",
        "review_id": None,
        "images": images,
        "model": {
            "id": outcome.model.id,
            "revision": outcome.model.revision,
            "weights_sha256": outcome.model.weights_sha256,
        },
        "license": {
            "id": license_.id,
            "name": license_.name,
            "url": license_.url,
            "notice": license_.notice,
            "accepted_at": iso(acceptance.accepted_ms) if acceptance else None,
        },
        "verdict": verdict_json(outcome.verdict),
        "timings": {
            "queued_s": round(watch.queued_s, 3),
            "first_preview_s": round(watch.first_preview_s, 3),
            "total_s": round(watch.elapsed(), 3),
        },
    }

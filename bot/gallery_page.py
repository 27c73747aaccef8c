"""A person's gallery as one HTML page: pictures, words, licenses, receipts and the usage log.

The page is whole in itself: no script, no address is fetched, and whatever people wrote is escaped. Its own
content security policy forbids everything but the style and the pictures that are inside it.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Final

from PIL import Image

from attribution.receipt import Receipt
from bot.nearest import Neighbor
from bot.usecases.account import AccountView, LogLine, Picture
from bot.words import plural, when
from generation.job import Credit

_EDGE: Final = 640  # px of a picture in the page; the files themselves lie beside it
_QUALITY: Final = 86
_STYLE: Final = (Path(__file__).parent / "gallery_page.css").read_text
_POLICY: Final = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)

_DIGEST: Final = re.compile(r"[0-9a-f]{16,}")

LicenseOf = Callable[[str], tuple[str, str]]
"""A license's id -> its name and address."""


def gallery_page(
    view: AccountView, pictures: Sequence[Picture], *, license_of: LicenseOf, made_ms: int, files: bool
) -> str:
    """Lay out the page.

    Args:
        view: the usage log.
        pictures: newest first.
        license_of: names a license.
        made_ms: when the copy is made, Unix ms.
        files: whether the signed files lie in the folder `pictures` beside the page.

    Returns:
        The page as HTML; some 50 kB for each picture.
    """
    name = view.name or "a member"
    shown = sum(picture.png is not None for picture in pictures)
    facts = [
        f"{len(pictures)} {plural('picture', len(pictures))}",
        f"{len(view.lines)} {plural('event', len(view.lines))}",
        f"copy of {when(made_ms)}",
    ]
    cards = "\n".join(_card(picture, license_of=license_of, files=files) for picture in pictures)
    gallery = f'<main class="gallery">\n{cards}\n</main>' if pictures else _NOTHING
    hidden = len(pictures) - shown
    note = f'<p class="note">{hidden} {_are(hidden)} listed without their file.</p>' if hidden else ""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{escape(name)}: pictures made with Verso</title>
<style>
{_STYLE(encoding="utf-8")}</style>
</head>
<body>
<header>
<p class="mark">Verso</p>
<h1>{escape(name)}</h1>
<p class="facts">{" &middot; ".join(map(escape, facts))}</p>
<p class="where">{escape(view.workspace_id)} &middot; pseudonym <code>{escape(view.subject)}</code></p>
</header>
{gallery}
{note}
<section class="log">
<h2>Usage log</h2>
<p>What was recorded, newest first. Each line is an entry of the ledger; its number is its place there.</p>
{_log(view.lines)}
</section>
<footer>AI-generated pictures. Each file carries signed credentials; its receipt proves the record.</footer>
</body>
</html>
"""


_NOTHING: Final = '<p class="empty">No pictures yet. The first one will hang here.</p>'


def _card(picture: Picture, *, license_of: LicenseOf, files: bool) -> str:
    release = picture.release
    license_name, license_url = license_of(release.license_id)
    words = picture.prompt or "The words are no longer kept."
    negative = (
        f'<p class="negative">without: {escape(picture.negative_prompt)}</p>'
        if picture.negative_prompt
        else ""
    )
    facts = [
        ("Model", escape(release.model_id)),
        ("License", _link(license_name, license_url)),
        ("Size", f"{release.width} &times; {release.height}"),
        ("Seed", escape(picture.seed) or "&ndash;"),
        ("Record", f"<code>{escape(release.image_id)}</code>"),
    ]
    return f"""<article>
{_frame(picture, words, files=files)}
<div class="words">
<p class="prompt">{escape(words)}</p>
{negative}<p class="meta"><time>{escape(when(release.created_ms))}</time>
<span class="badge {_TONES.get(picture.status, "gone")}">{escape(picture.status)}</span></p>
<details><summary>License, credits, receipt</summary>
{_facts(facts)}
{_credits(picture)}
{_receipt(release.receipt)}
</details>
</div>
</article>"""


_TONES: Final = {"posted": "good", "deleted": "gone", "taken down": "bad", "expired": "gone"}


def _frame(picture: Picture, words: str, *, files: bool) -> str:
    if picture.png is None:
        return f'<div class="frame blank"><span>{escape(picture.status)}</span></div>'
    image = f'<img src="{_inline(picture.png)}" alt="{escape(words[:300], quote=True)}" loading="lazy">'
    if not files:
        return f'<div class="frame">{image}</div>'
    return f'<a class="frame" href="pictures/{escape(file_name(picture), quote=True)}">{image}</a>'


def file_name(picture: Picture) -> str:
    """What a picture's file is called in a copy."""
    return f"verso-{picture.release.image_id}.png"


def _inline(png: bytes) -> str:
    """A picture as a data address: smaller than its file, and without what its file carries."""
    with Image.open(io.BytesIO(png)) as image:
        small = image.convert("RGB")
        small.thumbnail((_EDGE, _EDGE), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    small.save(out, "WEBP", quality=_QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(out.getvalue()).decode()}"


def _credits(picture: Picture) -> str:
    if picture.credited is None:
        return ""
    parts = []
    if picture.credited.references:
        lines = [_credit(c, f"{c.share:.0%}") for c in picture.credited.references]
        parts.append(f"<h3>Drawn from</h3><ul>{''.join(lines)}</ul>")
    if picture.credited.nearest:
        lines = [
            _credit(near, "near copy" if near.near_copy else f"{near.similarity:.2f} alike")
            for near in picture.credited.nearest
        ]
        parts.append(f"<h3>Nearest other training pictures</h3><ul>{''.join(lines)}</ul>")
    return "".join(parts)


def _credit(credit: Credit | Neighbor, share: str) -> str:
    return (
        f"<li><b>{escape(credit.title)}</b> by {escape(credit.author)}, "
        f"{_link(credit.license, credit.license_url)} <i>{escape(share)}</i>"
        f"<br><small>{escape(credit.source)}</small></li>"
    )


def _receipt(receipt: Receipt) -> str:
    head = [
        ("Leaf", f"{receipt.leaf_index:,}"),
        ("Tree size", f"{receipt.tree_size:,}"),
        ("Root hash", f"<code>{escape(receipt.root_hash.hex())}</code>"),
    ]
    return f"<h3>Receipt</h3>{_facts(head)}"


def _facts(facts: Iterable[tuple[str, str]]) -> str:
    """Labels beside values that are HTML already."""
    return f"<dl>{''.join(f'<dt>{escape(label)}</dt><dd>{value}</dd>' for label, value in facts)}</dl>"


def _link(text: str, url: str) -> str:
    """A link, where the address is one of the web; else the words alone."""
    if not url.startswith(("https://", "http://")):
        return escape(text)
    return f'<a href="{escape(url, quote=True)}" rel="noreferrer noopener">{escape(text)}</a>'


def _log(lines: Sequence[LogLine]) -> str:
    if not lines:
        return '<p class="empty">Nothing is recorded.</p>'
    rows = "\n".join(_row(line) for line in reversed(lines))
    return f"<table><thead><tr><th>When<th>What<th>Details<th>Leaf</thead><tbody>\n{rows}\n</tbody></table>"


def _row(line: LogLine) -> str:
    fields = {key: str(value) for key, value in {**line.private, **line.public}.items() if value != ""}
    digests = {key: value for key, value in fields.items() if _DIGEST.fullmatch(value)}
    details = _spans({key: value for key, value in fields.items() if key not in digests})
    if digests:
        details += f"<details><summary>digests and ids</summary>{_spans(digests)}</details>"
    what = escape(line.kind.replace("_", " "))
    return (
        f"<tr><td>{escape(when(line.at_ms))}</td><td>{what}</td>"
        f'<td class="details">{details}</td><td>{line.leaf_index}</td></tr>'
    )


def _spans(fields: Mapping[str, str]) -> str:
    return "".join(
        f"<span><em>{escape(key.replace('_', ' '))}</em> {escape(value)}</span>"
        for key, value in fields.items()
    )


def _are(count: int) -> str:
    return "is" if count == 1 else "are"

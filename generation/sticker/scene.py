"""From words and a seed to a plan: chooses references, style and background, and says what is unknown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from generation.sticker.draft import Part, Plan, plan
from generation.sticker.ground_choice import unsaid_ground
from generation.sticker.nouns import singular
from generation.sticker.parsing import parse
from generation.sticker.prompt import Layout, Scene, Subject
from generation.sticker.references import Reference, References
from generation.sticker.retrieval import Embed, Match, Retrieval
from generation.sticker.variety import Choice, Variety
from generation.sticker.vocabulary import vocabulary
from generation.sticker.wording import Findings, caption, note

_STYLE_ORDER = ("3d", "shaded", "icon", "flat")
_UNSTYLED = (("3d", 0.55), ("shaded", 0.2), ("icon", 0.13), ("flat", 0.12))
_NEAR_ENOUGH = 0.36  # an unknown subject is drawn as its nearest from here on
_ANIMATE = frozenset({0, 1, 3})  # groups of what wears hats: faces, people, animals
_CROWDED = 3  # subjects from which a plural is drawn once
_PLAIN_SEATS = frozenset(["rug", "plate", "table", "tray", "pond"])


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawable:
    """A plan with what else a model and a reader need."""

    plan: Plan
    caption: str  # the scene in the words of the training captions
    note: str | None  # what is not known, for the reader


@dataclass(slots=True)
class _Found:
    """The parts of a scene, and what is to be said about them, while they are being found."""

    parts: list[Part] = field(default_factory=list)
    nearest: list[tuple[str, str]] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    read_as: list[tuple[str, str]] = field(default_factory=list)
    companion: bool = False
    nothing: bool = False


class Illustrator:
    """Turns prompts into plans with the pictures of one reference pack."""

    def __init__(self, references: References, *, embed: Embed | None = None) -> None:
        self.references = references
        self._retrieval = Retrieval(references, embed=embed)
        self._phrases = frozenset(title for title in references.by_title if " " in title)
        self._emoji = _emoji(references)

    def plan(self, prompt: str, *, width: int, height: int, seed: int) -> Drawable:
        """Plan a picture.

        Args:
            prompt: anything; what names nothing known gets a note.
            width: native px.
            height: native px.
            seed: equal seeds give equal plans; others differ in picture, style, layout or shade.
        """
        variety = Variety(seed)
        scene = parse(prompt, phrases=self._phrases, emoji=self._emoji)
        style = scene.style or variety.weighted(Choice.STYLE, _UNSTYLED)
        found = self._find_all(scene, style, variety)
        self._fill(found, scene, style, variety)
        parts = self._dressed(found.parts)
        background = scene.background or unsaid_ground(parts, references=self.references, variety=variety)
        planned = plan(
            parts,
            background=background,
            width=width,
            height=height,
            references=self.references,
            variety=variety,
        )
        findings = Findings(
            nearest=tuple(found.nearest),
            unknown=tuple(found.unknown),
            missing=tuple(found.missing),
            read_as=tuple(found.read_as),
            unstyled=_unstyled(parts, scene),
            companion=found.companion,
            nothing=found.nothing,
        )
        return Drawable(
            plan=planned,
            caption=caption(parts, background=background, style=style),
            note=note(scene, findings, style=style),
        )

    def _find_all(self, scene: Scene, style: str, variety: Variety) -> _Found:
        found = _Found()
        dropped = False
        for named in scene.subjects:
            subject = self._crowd(named)
            match = self._find(subject)
            if match is not None and not match.known and (subject.vague or match.score < _NEAR_ENOUGH):
                match = None
            if match is None:
                found.unknown.append(subject.text)
                dropped = True
                continue
            if not match.known:
                found.nearest.append((match.read_as or subject.text, match.title))
            if match.known:
                found.missing += match.missing
            if match.known and match.read_as:
                found.read_as.append((subject.text, match.read_as))
            part = self._part(subject, match, scene, style, variety)
            found.parts.append(replace(part, relation=Layout.BESIDE) if dropped else part)
            dropped = False
        return found

    def _crowd(self, subject: Subject) -> Subject:
        """Read "a robot army" as three robots."""
        thing, _, crowd = subject.text.rpartition(" ")
        if crowd not in vocabulary().crowds_after or not thing or subject.text in self._retrieval.names:
            return subject
        match = self._retrieval.find(thing)
        if match is None or not match.known or match.missing:
            return subject
        return replace(subject, text=thing, count=max(subject.count, _CROWDED), plural=False)

    def _find(self, subject: Subject) -> Match | None:
        if subject.text in vocabulary().colors and subject.text not in self._retrieval.names:
            base = vocabulary().colors[subject.text].split()[-1]
            title = f"{base} circle"
            if title in self.references.by_title:
                return Match(title=title, score=1, known=True)
        text = singular(subject.text) if subject.count > 1 else subject.text  # "three flowers": no bouquets
        text = "number" if text.isdigit() else text
        return self._retrieval.find(text, color=subject.color)

    def _part(self, subject: Subject, match: Match, scene: Scene, style: str, variety: Variety) -> Part:
        reference = self._choose(match.title, style, variety)
        color = subject.color
        if color and set(_spoken(color)) & set(reference.title.split()):
            color = None  # it has that color by name
        count = subject.count
        several = any(singular(word) != word for word in match.title.split())
        one = several or len(scene.subjects) > _CROWDED
        if subject.plural and not one and subject.text not in self._retrieval.names:
            count = 2 + (variety.share(Choice.TITLE) < 0.6)
        return Part(
            reference=reference,
            color=color,
            count=count,
            size=subject.size,
            relation=subject.relation,
            joined=subject.joined,
        )

    def _choose(self, title: str, style: str, variety: Variety) -> Reference:
        ranked = sorted(self.references.by_title[title], key=lambda ref: _style_rank(ref.source.style, style))
        same = [ref for ref in ranked if ref.source.style == ranked[0].source.style]
        return variety.rng.choice(same)

    def _fill(self, found: _Found, scene: Scene, style: str, variety: Variety) -> None:
        """Put something into a scene without things."""
        if found.parts:
            return
        known = vocabulary()
        ground = scene.background or ""
        companions = known.companions.get(ground) or known.companions.get(ground.removeprefix("night "), ())
        found.companion = bool(companions) and not found.unknown
        found.nothing = not found.companion
        titles = [title for title in companions or known.anything if title in self.references.by_title]
        found.parts.append(Part(reference=self._choose(variety.pick(Choice.TITLE, titles), style, variety)))

    def _dressed(self, parts: Sequence[Part]) -> list[Part]:
        """Make relations such as can be drawn: what is worn goes to its wearer, "in" depends on the thing."""
        out: list[Part] = []
        for part in parts:
            relation = part.relation
            puts_on = out and relation is Layout.ON and _wearable(out[-1]) and _wears(part)
            if puts_on and out[-1].relation is not Layout.WEARING:
                worn = out.pop()
                out += [
                    self._facing(replace(part, relation=worn.relation, joined=worn.joined)),
                    replace(worn, relation=Layout.WEARING, joined=False),
                ]
            elif out and relation is Layout.WEARING:
                self._wear(out, part)
            else:
                out.append(replace(part, relation=self._possible(relation, part) if out else Layout.BESIDE))
        return out

    def _wear(self, out: list[Part], part: Part) -> None:
        places = range(len(out) - 1, -1, -1)
        host = next((i for i in places if _wears(out[i])), None)
        host = next(i for i in places if out[i].relation is not Layout.WEARING) if host is None else host
        out[host] = self._facing(out[host])
        if out[host].count > 1 and len(out) == 1:  # each of them
            one, worn = replace(out[0], count=1), replace(part, count=1)
            out[:] = [piece for _ in range(out[0].count) for piece in (one, worn)]
            return
        out.insert(host + 1, part)

    def _facing(self, part: Part) -> Part:
        """The same thing looking at us, where there is such a picture: a hat sits well on it."""
        title, style = part.reference.title, part.reference.source.style
        by_title = self.references.by_title
        faces = by_title.get(f"{title} face") or by_title.get(f"{title} with face", ())
        same = next((ref for ref in faces if ref.source.style == style), None)
        return replace(part, reference=same) if same else part

    def _possible(self, relation: Layout, part: Part) -> Layout:
        title = part.reference.title
        known = vocabulary()
        if relation is not Layout.IN or title in known.containers or title in _PLAIN_SEATS:
            return relation
        if title in known.buildings:
            return Layout.FRONT
        return Layout.BESIDE if title in known.weather else Layout.ON


def _emoji(references: References) -> Mapping[str, str]:
    """Code points, without joiners, of each title's emoji."""
    out: dict[str, str] = {}
    for reference in references.all:
        name = reference.id.rpartition("/")[2]
        codes = name.split("-")
        if all(len(code) >= 2 and set(code) <= set("0123456789abcdef") for code in codes):
            chars = "".join(chr(int(code, 16)) for code in codes if code not in {"fe0f", "200d"})
            out.setdefault(chars, reference.title)
    return out


def _style_rank(style: str, wanted: str) -> tuple[int, int]:
    pairs = {"flat": "icon", "icon": "flat", "shaded": "icon", "3d": "shaded"}
    if style == wanted:
        return (0, 0)
    return (1 if pairs[wanted] == style else 2, _STYLE_ORDER.index(style))


def _unstyled(parts: Sequence[Part], scene: Scene) -> tuple[str, ...]:
    if scene.style is None or scene.style_word is not None:
        return ()
    return tuple(p.reference.title for p in parts if p.reference.source.style != scene.style)


def _wears(part: Part) -> bool:
    return part.reference.group in _ANIMATE and part.reference.title not in vocabulary().unworn


def _wearable(part: Part) -> bool:
    known = vocabulary()
    return part.reference.title.split()[-1] in known.worn_on_head | known.worn_on_eyes


def _spoken(color: str) -> list[str]:
    return [word for word, name in vocabulary().colors.items() if name == color]

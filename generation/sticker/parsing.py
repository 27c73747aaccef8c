"""Reads a prompt as a scene.

Pure: words in, values out. Anything a person may type is read, in time that grows with its length; what is
not understood is kept as a subject's text, which the retrieval then judges.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from generation.sticker.aliases import aliases, kin
from generation.sticker.grounds import take_background, together
from generation.sticker.languages import translate
from generation.sticker.nouns import singular
from generation.sticker.prompt import Scene, Subject
from generation.sticker.reading import read
from generation.sticker.relations import connectors, find_things
from generation.sticker.styles import take_style
from generation.sticker.vocabulary import Phrase, vocabulary

_LONGEST_PHRASE = 6  # words
_LETTERING = frozenset({"saying", "says"})


def parse(
    prompt: str, *, phrases: Collection[str] = frozenset(), emoji: Mapping[str, str] | None = None
) -> Scene:
    """Read a prompt.

    Args:
        prompt: anything a person may type, in any script and of any length.
        phrases: titles of several words ("bow and arrow", "house with garden"); they are kept whole.
        emoji: code points -> title, for prompts with emoji.

    Returns:
        The scene; without subjects when the prompt names none.
    """
    reading = read(prompt, emoji=emoji)
    translation = translate(reading.words)
    words = _protect(translation.words, phrases)
    words, lettering = _without_lettering(words)
    words, tails = _without_junk(words)
    style = take_style(words)
    ground = take_background(style.words, connectors=connectors())
    things = find_things(ground.words, foreign=translation.foreign)
    subjects = things.subjects or _whole(words)
    known = vocabulary()
    subjects, field = _fields(subjects, phrases)
    subjects, lone = _lone_places(subjects)
    names = [ground.name] if ground.name else []
    names += [known.places[word] for word in (*lone, *field)]
    background, shown = together(names) if names else (None, frozenset())
    others = [word for word in (*lone, *field) if known.places[word] not in shown]
    return Scene(
        subjects=tuple(subjects),
        background=background,
        style=style.name,
        style_word=style.word,
        more=things.more,
        lettering=reading.lettering or lettering,
        left_out=(*things.left_out, *ground.others, *others, *tails),
    )


def _protect(words: Sequence[str], phrases: Collection[str]) -> list[str]:
    """Join the words of a known name, so that it is not cut and its words are not read one by one."""
    names, near = aliases(), kin()
    out: list[str] = []
    i = 0
    while i < len(words):
        for size in range(min(_LONGEST_PHRASE, len(words) - i), 1, -1):
            phrase = " ".join(words[i : i + size])
            plain = singular(phrase)
            if any(name in table for table in (phrases, names, near) for name in (phrase, plain)):
                out.append(phrase)
                i += size
                break
        else:
            out.append(words[i])
            i += 1
    return out


def _without_lettering(words: list[str]) -> tuple[list[str], bool]:
    """Drop what was to be written: "a cat saying hello"."""
    for i, word in enumerate(words):
        if i and word in _LETTERING:
            end = words.index(",", i) if "," in words[i:] else len(words)
            return [*words[:i], *words[end:]], True
    return words, False


def _without_junk(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Drop phrases that ask for no picture; returns the words that are left and the tails that went."""
    known = vocabulary()
    out: list[str] = []
    tails: list[str] = []
    i = 0
    while i < len(words):
        size = _starting(words, i, known.tails)
        if size:
            end = i + size
            while end < len(words) and words[end] != ",":
                end += 1
            tails.append(" ".join(words[i:end]))
            i = end
            continue
        size = _starting(words, i, known.junk)
        if size:
            out.append(",")
            i += size
        else:
            out.append(words[i])
            i += 1
    return out, tails


def _starting(words: Sequence[str], i: int, phrases: Collection[Phrase]) -> int:
    for size in range(min(_LONGEST_PHRASE, len(words) - i), 0, -1):
        if tuple(words[i : i + size]) in phrases:
            return size
    return 0


def _whole(words: Sequence[str]) -> list[Subject]:
    """A prompt of words that name nothing one by one may be a name as a whole: "please", "i love you"."""
    text = " ".join(word for word in words if word != ",")
    return [Subject(text=text)] if text in aliases() or text in vocabulary().colors else []


def _fields(subjects: Sequence[Subject], phrases: Collection[str]) -> tuple[list[Subject], list[str]]:
    """Read "a sunflower field" as sunflowers on the grass."""
    known = vocabulary()
    out: list[Subject] = []
    field: list[str] = []
    for subject in subjects:
        rest, _, last = subject.text.rpartition(" ")
        whole = subject.text in aliases() or subject.text in kin() or subject.text in phrases
        if (
            rest
            and not whole
            and known.places.get(last) == "grass"
            and last in known.lone_places | {"field", "garden"}
        ):
            out.append(replace(subject, text=rest, plural=True))
            field.append(last)
        else:
            out.append(subject)
    return out, field


def _lone_places(subjects: Sequence[Subject]) -> tuple[list[Subject], list[str]]:
    """Places that are no subjects: all that a prompt names ("sunset"), or a fragment ("a castle, sunset")."""
    named = [_places_named(subject.text) for subject in subjects]
    alone = [[place for place in places if _stands_alone(place)] for places in named]
    if all(named) and any(alone):
        return [], [place for places in named for place in places]
    gone = [bool(places) and subject.vague for subject, places in zip(subjects, alone, strict=True)]
    left = [subject for subject, lone in zip(subjects, gone, strict=True) if not lone]
    return left, [place for places, lone in zip(alone, gone, strict=True) if lone for place in places]


def _stands_alone(place: str) -> bool:
    return place in vocabulary().lone_places or " " in place


def _places_named(text: str) -> list[str]:
    """The places that a text names, if it names nothing else."""
    known = vocabulary()
    words = text.split()
    out: list[str] = []
    i = 0
    while i < len(words):
        size = next(
            (n for n in (3, 2, 1) if i + n <= len(words) and " ".join(words[i : i + n]) in known.places), 0
        )
        if size:
            out.append(" ".join(words[i : i + size]))
        elif words[i] in known.place_adjectives:
            out.append(
                next(
                    place for place, name in known.places.items() if name == known.place_adjectives[words[i]]
                )
            )
        elif words[i] not in known.fillers and words[i] not in known.place_fillers:
            return []
        i += max(1, size)
    return out

"""Sentences of our own in 14 languages, put together from phrases: who, what, where, in which style.

Harmful and harmless sentences share their persons, places and styles, so that only the act tells them
apart. `phrases/<language>.toml` holds the phrases; the same phrases always give the same sentences.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator
from importlib import resources

from moderation.errors import PolicyError, TrainingError
from moderation.policy_file import Table, parse
from moderation.training.data import Example, reading
from moderation.types import Category

GROUP = "own"
OWN_WEIGHT = 2.0  # few, varied and labeled with care
_HARMLESS = "harmless"
_EACH_ENGLISH = 10  # sentences made of one act
_EACH_OTHER = {False: 9, True: 4}  # harmless, harmful: about as many of both in every language
_STYLED_SCENES = 1  # copies of a scene with a style behind it


def own_examples() -> list[Example]:
    """Return every sentence.

    Raises:
        TrainingError: a phrase file is not as agreed.
    """
    folder = resources.files("moderation.training") / "phrases"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".toml")), key=lambda f: f.name)
    try:
        return [
            example for file in files for example in _examples(file.name[:-5], parse(file.read_text("utf-8")))
        ]
    except PolicyError as error:
        raise TrainingError(f"phrases: {error}") from None


def _examples(language: str, table: Table) -> Iterator[Example]:
    table.only("who", "where", "style", "order", "glue", _HARMLESS, *(str(category) for category in Category))
    order, glue = table.text("order", "{who} {act} {where}"), table.text("glue", ", ")
    who, where, style = table.texts("who"), table.texts("where"), table.texts("style")
    for name in (_HARMLESS, *(str(category) for category in Category)):
        part = table.table(name)
        if part is None:
            continue
        part.only("acts", "scenes")
        sentences: list[str] = []
        for act in part.texts("acts"):
            rng = random.Random(zlib.crc32(f"{language} {act}".encode()))
            for count in range(_EACH_ENGLISH if language == "en" else _EACH_OTHER[name != _HARMLESS]):
                place = rng.choice(where) if rng.random() < 0.6 else ""
                sentence = order.format(who=rng.choice(who), act=act, where=place)
                sentence = " ".join(sentence.split())
                sentences.append(f"{sentence}{glue}{rng.choice(style)}" if count % 3 == 2 else sentence)
        for scene in part.texts("scenes"):
            rng = random.Random(zlib.crc32(f"{language} {scene}".encode()))
            sentences.append(scene)
            sentences += [f"{scene}{glue}{tail}" for tail in rng.sample(style, _STYLED_SCENES)]
        for sentence in sentences:
            yield Example(
                text=reading(sentence),
                harmful=name != _HARMLESS,
                category=None if name == _HARMLESS else Category(name),
                source=GROUP,
                group=GROUP,
                language=language,
                weight=OWN_WEIGHT,
            )

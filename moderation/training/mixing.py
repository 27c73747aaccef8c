"""Puts the training set together, and says which sources are left out together."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path

from moderation.errors import TrainingError
from moderation.normalize import normalize
from moderation.terms import TermList, load_terms
from moderation.training.copies import disguised, subjects
from moderation.training.data import Example, distinct, read_file, read_folder, styled
from moderation.training.own import OWN_WEIGHT, own_examples
from moderation.training.typed import typed_prompts
from moderation.training.user_prompts import style_tails, user_prompts

_LOG = logging.getLogger(__name__)
#: Sets whose harmless texts are on the verge on purpose: thresholds are not drawn from them.
LOOK_ALIKES = frozenset(
    {"overt_trainsplit", "copro_id", "nibbler_r1", "seeds", "own", "user_prompts", "typed_phrases"}
)
#: Sentences of ours.
OURS = frozenset({"seeds", "own", "user_prompts"})

#: Data sets that are left out together, so that harmful and harmless come from unseen sources.
FOLDS = (
    frozenset({"coco_train", "nibbler_r1"}),
    frozenset({"diffusiondb_refl", "overt_trainsplit"}),
    frozenset({"compbench_train", "copro_id"}),
)
#: Everyday prompts and captions; the other sets' harmless texts are look-alikes on purpose.
PLAIN = ("coco_train", "compbench_train", "diffusiondb_refl")
#: What people typed themselves, misspellings and all.
TYPED = frozenset({"diffusiondb_refl", "nibbler_r1"})
_STYLED = 6000
#: Of the weights: chosen on the folds. More, and a head that knows no users' prompts finds all of them odd.
_HARMFUL_COPY = 1 / 3
_CAREFUL = 1.0  # weight from which on every harmful text gets a copy with style words
_STYLED_ALREADY = frozenset({"diffusiondb_refl", "user_prompts", "typed_phrases"})


def load_examples(data: Path, phrases: Path | None = None) -> list[Example]:
    """Return the data sets of a folder, our own sentences, and copies of both: with style words, in disguise.

    Args:
        data: folder of labeled CSV files.
        phrases: a `clip_interrogator` wheel, whose phrases make further harmless prompts; see `typed`.

    Raises:
        TrainingError: a file is not as agreed, or the data lacks harmful or harmless texts.
    """
    with resources.as_file(resources.files("moderation") / "data" / "seeds.csv") as seeds:
        own = [replace(example, weight=OWN_WEIGHT) for example in read_file(seeds)]
    shared = read_folder(data)
    if not any(e.harmful for e in shared) or all(e.harmful for e in shared):
        raise TrainingError("the data needs harmful and harmless examples")
    listed = load_terms("lexicon.toml")
    presumed = [e for e in shared if e.group != "diffusiondb_refl" or not _hit(e, listed)]
    _LOG.info("%d texts presumed harmless have a listed term and are left out", len(shared) - len(presumed))
    prompts = [e for e in user_prompts() if not _hit(e, listed)]
    typed = typed_prompts(phrases, shared) if phrases is not None else []
    # Typed phrases get disguised copies too: a head that read them only as they stand holds misspelled ones.
    mixed = distinct([*own, *own_examples(), *prompts, *presumed, *typed])
    known = {example.text for example in mixed}
    copies = distinct([*_styled(mixed), *disguised(mixed), *subjects(mixed)])
    return [
        *mixed,
        *(
            replace(copy, weight=copy.weight * _HARMFUL_COPY) if copy.harmful else copy
            for copy in copies
            if copy.text not in known
        ),
    ]


def _styled(mixed: Sequence[Example]) -> list[Example]:
    """Copies with style words: or the head would learn that whatever ends in them is harmless."""
    tails = style_tails()  # our own, or a head would know the style of a source that was left out
    harmful = [e for e in mixed if e.harmful]
    careful = [e for e in harmful if e.weight >= _CAREFUL]
    harmless = [e for e in mixed if not e.harmful and e.group not in _STYLED_ALREADY and e.language == "en"]
    return [
        *styled(careful, tails, count=len(careful)),
        *styled([e for e in harmful if e.weight < _CAREFUL], tails, count=_STYLED // 2),
        *styled(harmless, tails, count=_STYLED),
    ]


def _hit(example: Example, listed: TermList) -> bool:
    return any(m.entry.severity != "note" for m in listed.find(normalize(example.text)))

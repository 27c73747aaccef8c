"""Makes the list of ordinary words by which disguised ones are read: most frequent first.

Counts alone go in: no sentence of any source can be read back from it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from moderation.terms import TermList

_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")
#: English has few words this short; everything else of that length would glue fragments together.
_SHORT = frozenset(
    """
    a sci fi tv i am an as at be by do go he hi if in is it me my no of on or so to up us we act add ado age
    ago air all amy and ann ant any ape apt arc are arm art ash ask axe bad bag bar bat bay bed bee
    ben bet bib bid big bin bit boa bob bog bow box boy bra bud bug bun bus but buy bye can cap car
    cat cel cog cop cot cow cry cub cud cue cup cut dab dad dan day den dew did die dig dim din dip
    doe dog dot dry dub due duo dye ear eat ebb egg ego elf elk elm emo emu end era eva eve eye fad
    fan far fat fee few fib fig fin fir fit fix flu fly foe fog for fox fun fur gab gag gap gas gay
    gel gem get gig gin gnu god got gum gun gut guy gym had hag ham has hat hay hdr hen her hex hid
    him hip his hit hop hot how hue hug hut ian ice ill imp ink inn its ivy jab jag jam jar jaw jet
    jim job joe jog joy jug kai keg key kid kim kit lab lag lap law lay led lee leg leo let ley lid
    lie lip lit lob log lot low lug lux mac mad man map mat max men mid mix mob mom mop mud mug nap
    net new nil nob nod not now nun nut oak oar oat odd off oil old one orb orc ore our out owl own
    pad pan paw pay pea pen pet pie pig pin pit ply pod pop pot pro pub pug pun pup put rag raj ram
    ran rap rat raw ray red ref rey rib rid rig rim rip rob rod rot row rub rug rum run rye sad sag
    sam sap sat saw say sea see set sew sex she shy sin sip sir sit six ski sky sly sob sod son sow
    spa spy sty sub sue sum sun tag tan tap tar tax tea ted tee ten the tie tim tin tip toe tom too
    top tow toy tri try tub tug two urn use van vat vet via vin vow war was wax way web wed wee wet
    who why wig win wit woe wok won wry yak yam yap yen yes yet yew you zap zen zip zoe zoo
    """.split()  # noqa: SIM905 - a list of one word a line would be four pages
)


def frequent_words(
    texts: Iterable[str], lists: Iterable[TermList], *, edited: Iterable[str] = (), at_least: int = 3
) -> list[str]:
    """Return lower-case ASCII words, most frequent first; ties in alphabetical order.

    Args:
        texts: sentences as people typed them, lower-case.
        lists: word lists whose English single words always belong.
        edited: sentences with few misspellings: every word in them is one.
        at_least: how often a word must occur among the others.
    """
    careful = Counter(_count(edited))
    counts = careful + Counter(_count(texts))
    known = {w: n for w, n in counts.items() if (n >= at_least or w in careful) and len(w) > 3}
    known |= {word: max(counts[word], 1) for word in _SHORT}
    for terms in lists:
        for entry in terms.entries:
            for word in (word for term in entry.terms for word in term.lower().split()):
                if entry.lang == "en" and len(word) > 3 and _WORD.fullmatch(word) and "'" not in word:
                    known.setdefault(word, 1)
    return sorted(known, key=lambda word: (-known[word], word))


def _count(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        if text.isascii():
            yield from (match.group().split("'")[0] for match in _WORD.finditer(text))

"""Decides from a picture's words which pictures a model must not learn from.

Rules, the first that fits counts:

1. A license off the allow-list, or another one than the package's recipe says.
2. No author: nobody, "unknown", "anonymous", a reworking of somebody else's work.
3. Persons' likenesses: names of real people, and the words portrait, caricature, president, celebrity ...
4. Logos and brands: marks of companies, products and projects, their mascots, characters of films and games.
5. What a sticker should not show: nudity, drugs, hate, firearms and bombs.
6. Of clip art: no signs, flags, maps, letters, heraldry, buttons, icons, patterns; by folder and by word.

An emoji is judged by its title; clip art, whose titles are weak, by keywords and path too. A rule can
only know what the words say: a mark without words is found by looking at the pictures.
"""

from __future__ import annotations

import re

from generation.sticker.clipart import CLIPART_FOLDER, file_words
from generation.sticker.entries import Entry
from generation.sticker.sources import ALL_SOURCES, ALLOWED_LICENSES, CLIPART

_LICENSES = {source.origin: source.license for source in ALL_SOURCES}


def _words(listed: str) -> re.Pattern[str]:
    alternatives = "|".join(listed.split())
    return re.compile(rf"\b(?:{alternatives.replace('_', ' ')})\b")


_NOT_AN_AUTHOR = re.compile(
    r".|unknown|anonymous|none|me|nobody|various|public domain|open ?clip ?art.*|hash\(.*|c\.\.\."
    r"|.*\bbased on\b.*|.*\bconvert.*"
)
_SAYS_SOMETHING = re.compile(r"[^\W\d_]{3}")
_LIKENESS = _words(
    r"""
    (?<!paper_)portraits? self-?portrait selfportrait caricature famous celebrity celebrities president
    politicians? saint pope luther gandhi lincoln washington obama george_bush clinton kennedy reagan
    nixon putin hitler stalin lenin guevara saddam castro churchill napoleon einstein newton darwin
    galileo mozart beethoven bach wagner chopin handel shakespeare cervantes freud elvis marilyn madonna
    lennon beatles coltrane picasso mona_lisa gioconda schumacher knievel stallman torvalds balmer ballmer
    bill_gates xbill bro?zo roman principessa
    """
)
# Among the clip art's people, photographs traced by machine lie beside cartoons: no word tells them apart.
_OF_PEOPLE = frozenset({"people"})
_YET_NO_PERSON = frozenset({"bodypart", "clothing", "hats", "jewelry", "smilies"})
_BRAND = _words(
    r"""
    logos? logotype trade_?marks? brands? marchio copyright registered mascots? tux linux gnu debian
    ubuntu gentoo suse mandrake mandriva redhat freebsd kde gnome openoffice(?:\.org)? inkscape gimp
    sodipodi firefox mozilla thunderbird netscape jabber emule kexi zinf linex apache mysql php microsoft
    ms_windows windows_xp internet_explorer msn macintosh imac mac ipod iphone itunes google yahoo ebay
    skype wikipedia nvidia ibm hp sony clie nokia motorola samsung siemens philips garmin magell?an
    palm_pilot treo sprint rca atari nintendo gameboy(?:pocket)? game_?boy playstation xbox pac-?man
    packman (?<!ping_)pong tetris super_mario pokemon gundam rubiks? rubik's lego barbie disney mickey
    bambi porcinet simpsons? garfield snoopy vgcats domo_kun star_?wars lightsabers? starwalker jedi
    lovecraft coca pepsi mcdonalds? nike adidas boeing airbus 737 747 concorde chevrolet chevy blazer
    dodge shelby hummers? ferrari porsche bmw volkswagen toyota honda renault skoda vespa harley michelin
    mastercard bpoe elks_lodge otto discordia buran velocette froggies
    """
)
_UNFIT = _words(
    r"""
    middle_finger swastika sunwheel schwarze nazis? cigarettes? cigars? smoke tobacco marijuana cannabis
    nude naked nudes? sex sexy stripper erotik erotic penis breasts pantyhose lingerie babe pimp chav
    weapons? guns? pistols? revolvers? rifles? shotguns? firearms? ammo bullets bullet_?hole gunshot
    bombs? grenades? atomic wmd missiles? torture gallows suicide siringa sangue bad_guy
    """
)
_NOT_A_SUBJECT = _words(
    r"""
    flags? signalflag flagge bandiera bandera semaphore signs? roadsigns? traffic signalisation panneau
    crossroads curve_ahead cycle_lane cycle_route bus_symbol sauvetage incendie? maps? mapsym map_symbol
    carte coastline outline_map heraldry coat_of_arms escudo armoiries blason stemma emblems? alphabets?
    letters? fonts? numbers? kanji glyph buttons? mime-?types? mimeicon appicon cursor barcode upc
    networksym flowchart diagrams? diagramma istogramma logic_functions boating_rules\d?
    sail(?:ing|boat)_illustration knot_illustration capsized reaching tacks close_hauled running_free
    geometry magick arrowshape gradients? patterns? textures? callouts? template blueprint schema
    spreadsheet finestr[ae] formulario griglia alerta simbol x_simbol flourish flourishes corner lauburu
    triskell? ottico
    """
)
_FOLDERS = re.compile(
    r"buttons/|computer/(?:buttons|icons|diagrams)/|geography/(?!astronomy/)|logos/|people/stickmen/"
    r"|recreation/(?:games/cards|religion)/|shapes/|signs_and_symbols/|special/"
    r"|transportation/(?:roadsigns|aiga-symbols)/|unsorted/duplicates/"
)
# What only the eye finds: a project's mark on a shirt, a player of one make; tiles with a word below, window
# buttons, drawings that come out blurred.
_SEEN_MARKS = re.compile(
    r"people/clothing/t-shirt_0[23]|computer/hardware/rhythmbox|unsorted/(?:caterpillar|toros_)"
)
_SEEN_SIGNS = re.compile(
    r"food/.*_mateya_01|computer/bb_|electronics/filmphoto|office/manuscri|unsorted/(?:movie|quit)_"
)

_SIGN = "a sign, flag, map, letter or shape"


def reason_to_leave_out(entry: Entry) -> str | None:
    """Why a picture must not be learned from, or None."""
    if entry.license not in ALLOWED_LICENSES:
        return f"license {entry.license} is not on the allow-list"
    if _LICENSES.get(entry.package, entry.license) != entry.license:
        return "license differs from its package's"
    if _NOT_AN_AUTHOR.fullmatch(entry.author.casefold()):
        return "no author"
    words = _text(entry)
    if _LIKENESS.search(words):
        return "a person's likeness"
    if _BRAND.search(words):
        return "a logo or brand"
    if _UNFIT.search(words):
        return "not fit for a sticker"
    if entry.title.startswith("regional indicator"):
        return _SIGN
    return _reason_of_clipart(entry, words) if entry.package == CLIPART.origin else None


def _reason_of_clipart(entry: Entry, words: str) -> str | None:
    file = entry.file.removeprefix(CLIPART_FOLDER)
    keywords = {*entry.keywords, *_folders(entry)}
    if keywords & _OF_PEOPLE and not keywords & _YET_NO_PERSON:
        return "a person's likeness"
    if _SEEN_MARKS.match(file):
        return "a logo or brand"
    if _NOT_A_SUBJECT.search(words) or _FOLDERS.match(file) or _SEEN_SIGNS.match(file):
        return _SIGN
    return None if _SAYS_SOMETHING.search(entry.title) else "no title"


def _text(entry: Entry) -> str:
    parts = [entry.title]
    if entry.package == CLIPART.origin:
        parts += [*entry.keywords, *_folders(entry), " ".join(file_words(entry.file, entry.author))]
    return " | ".join(parts).casefold().replace("_", " ")


def _folders(entry: Entry) -> list[str]:
    return entry.file.removeprefix(CLIPART_FOLDER).split("/")[:-1]

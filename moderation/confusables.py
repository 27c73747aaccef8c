"""Characters that look like Latin letters, and signs that stand for them: the project's own small table.

Only lookalikes that people use to slip words past a list are here. The mapping goes from one
character (after NFKC and case folding) to one or more ASCII letters.
"""

# ruff: noqa: RUF001 - lookalikes are what this file is about

from __future__ import annotations

from types import MappingProxyType

# Each word is one lookalike followed by what it stands for.
_PAIRS = (
    # Cyrillic
    "аa вb сc ԁd еe ґr ғf ԍg һh іi їi јj кk ӏl мm нh оo рp ԛq гr ѕs тt υu ѵv ԝw хx уy ўy ёe єe зe ьb "
    "бb иn йn пn шw щw ѡw яr фo өo қk ңh ӊh ҳx ҷy "
    # Greek
    "αa βb ςc δd εe ϝf ηn ιi ϳj κk νv οo ρp σo τt χx γy ωw ζz ϲc μu θo λl πn "
    # Armenian
    "աw օo սu հh ցg զq եt ոn յj ւl "
    # Latin outside ASCII that does not decompose
    "ıi ȷj ɑa ɡg ɩi ʋu ᴀa ʙb ᴄc ᴅd ᴇe ꜰf ɢg ʜh ɪi ᴊj ᴋk ʟl ᴍm ɴn ᴏo ᴘp ʀr ꜱs ᴛt ᴜu ᴠv ᴡw ʏy ᴢz "
    "øo đd łl ħh ŧt ƅb ɓb ƈc ɖd ɗd ɛe ƒf ɠg ɦh ɨi ƙk ɫl ɱm ɲn ƞn ɵo ƥp ʠq ɾr ʂs ƭt ʉu ʊu ʌv ɯw "
    "ʍw ʎy ʐz ƶz æae œoe ßss þth ðd əe "
    # Lisu and Cherokee
    "ꓮa ꓐb ꓚc ꓓd ꓰe ꓝf ꓖg ꓧh ꓲi ꓙj ꓗk ꓡl ꓟm ꓠn ꓳo ꓑp ꓣr ꓢs ꓔt ꓴu ꓦv ꓪw ꓫx ꓬy ꓜz "
    "Ꭺa Ꭼe Ꮋh Ꮖi Ꭻj Ꮶk Ꮮl Ꮇm Ꮲp Ꮪs Ꭲt Ꮩv Ꮃw Ꮓz Ꮯc"
)
# Squared and circled letters that compatibility normalising leaves alone, and regional indicators.
_ENCLOSED = {chr(0x1F150 + i): chr(97 + i) for i in range(26)} | {
    chr(start + i): chr(97 + i) for start in (0x1F170, 0x1F1E6) for i in range(26)
}

#: Lookalike letters of other scripts, and the ASCII letters that they stand for.
LOOKALIKES = MappingProxyType({pair[0]: pair[1:] for pair in _PAIRS.split()} | _ENCLOSED)

#: Digits and signs that stand for letters. "1" is read as both i and l, in two views.
LEET = MappingProxyType(
    {
        "0": "o",
        "1": "i",
        "3": "e",
        "4": "a",
        "5": "s",
        "6": "g",
        "7": "t",
        "8": "b",
        "9": "g",
        "@": "a",
        "$": "s",
        "€": "e",
        "£": "l",
        "¥": "y",
        "!": "i",
        "|": "i",
        "+": "t",
        "¡": "i",
    }
)

#: Emoji that carry a policy meaning of their own, as words.
EMOJI_WORDS = MappingProxyType(
    {
        "🔞": "nsfw",
        "🔪": "knife",
        "🗡": "dagger",
        "🔫": "gun",
        "💣": "bomb",
        "🩸": "blood",
        "💉": "syringe",
        "💊": "pill",
        "👙": "bikini",
        "🩲": "underwear",
        "⚰": "coffin",
        "🪓": "axe",
        "💀": "skull",
        "🧨": "dynamite",
        "👧": "girl child",
        "👦": "boy child",
        "🧒": "child",
        "👶": "baby",
        "🐱": "cat",
        "🐶": "dog",
        "🔥": "fire",
    }
)

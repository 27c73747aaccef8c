"""Takes from a prompt the words that only say how the picture is made, so that what it shows is left.

People append the same dozens of style words and artists' names to any prompt. They fill most of it, and a
sentence embedding of the whole says more about them than about the subject: "portrait of a knight" and
"portrait of a corpse" come out alike once forty such words follow. The head therefore reads a long-tailed
prompt a second time without them. Nothing is lost to other rules, which read the whole text.
"""

from __future__ import annotations

import re

_CLAUSE = re.compile(r"[,;|\n]|\.(?=\s|$)| - ")  # one sign at a time: linear in whatever is typed
_BY = re.compile(
    r"(?:(?:art|artwork|painting|painted|illustration|illustrated|drawn|design|photo|photography|render|"
    r"rendered|directed|style|in the style|inspired|style is|and)\s+)*(?:by|of)\s+(?P<who>\S.*)"
)
_TOKEN = re.compile(r"[^\W_]+")
_MOST_NAMED = 9  # words of a clause that may be names of artists
#: Words that say how a picture is made, or praise it; a clause of nothing else says nothing of its subject.
_STYLE = frozenset(
    """
    a an the and or in on of with by very super ultra highly extremely insanely hyper extra intricate
    intricately detail details detailed detailing elegant smooth sharp focus focused illustration painting
    paintings painted digital digitally art arts artwork artworks artist concept matte trending featured
    artstation artstationhq hq hd uhd hdr fhd deviantart pixiv behance cgsociety cg cgi society unreal
    engine octane redshift arnold cycles blender vray v ray cinema4d c4d zbrush maya render rendered
    rendering renders tracing traced raytracing raytraced rtx global illumination volumetric lighting light
    lights lit fog rim studio soft diffused diffuse dramatic cinematic cinema ambient occlusion epic 8 k 4 2
    8k 4k 2k 16k 16 3d 3 d 2d resolution high quality best low photo photorealistic photorealism
    photorealist realistic realism realist hyperrealistic hyperrealism hyperdetailed ultrarealistic
    ultradetailed surreal surrealism masterpiece award winning awarded wide angle long shot shots macro lens
    35mm 50mm 85mm 35 50 85 mm f dof bokeh depth field dslr canon nikon sony kodak portra polaroid film
    grain still movie vhs photography photograph photographed national geographic vogue magazine style
    styled stylized aesthetic aesthetics oil canvas watercolor watercolour ink pencil sketch line linework
    brush brushstrokes strokes impasto acrylic gouache pastel airbrush vector poster cover wallpaper
    background baroque rococo deco nouveau renaissance impressionism impressionist expressionism abstract
    minimalism minimalist symmetrical symmetry symmetric centered centred composition composed rule thirds
    golden ratio perspective vibrant vivid muted colors colours color colour colorful colourful palette
    contrast chiaroscuro monochrome black white sepia beautiful beautifully gorgeous stunning amazing
    incredible awesome breathtaking perfect coherent finely crisp clean clear textured texture textures post
    processing processed no text watermark blur blurry sci fi fantasy anime manga comic ghibli pixar disney
    marvel dc dnd rpg character design cel shading shaded flat pixel voxel isometric popular contest winner
    reddit instagram pinterest flickr retro vintage synthwave vaporwave cyberpunk steampunk solarpunk trend
    top rated 1 5 made using screenshot ultrawide widescreen
    """.split()  # noqa: SIM905 - a list of one word a line would be six pages
)


def subject(text: str) -> str:
    """Return a lower-case prompt without the clauses that name artists or speak of style alone.

    A prompt of nothing else, or with nothing to drop, is returned as it is.
    """
    clauses = [clause.strip() for clause in _CLAUSE.split(text)]
    kept = [clause for clause in clauses if clause and not _is_style(clause)]
    if not kept or len(kept) == sum(map(bool, clauses)):
        return text
    return ", ".join(kept)


def _is_style(clause: str) -> bool:
    tokens = _TOKEN.findall(clause)
    if all(token in _STYLE for token in tokens):
        return True
    named = _BY.fullmatch(clause)
    return named is not None and clause.split(maxsplit=1)[0] != "of" and len(tokens) <= _MOST_NAMED

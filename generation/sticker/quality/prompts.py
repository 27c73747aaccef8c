"""The fixed prompts that the model is judged by, each with what a stranger must find in the picture.

What was asked for is written down here by hand, not taken from the parser: a prompt that is read wrongly
counts as a wrong picture. Titles are those of the reference pack; several stand beside each other where it
has several for what the prompt's word means.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A prompt and what it asks for."""

    prompt: str
    subjects: tuple[tuple[str, ...], ...] = ()  # in order; one of the titles must be found for each
    color: str | None = None  # word of `colored.COLOR_NAMES` for the first subject
    background: str | None = None  # a scene or a color, as `backgrounds.paint` names it


def _asked(table: str) -> tuple[Asked, ...]:
    """Lines of `prompt = subject; subject`; `title | title` where the pack has several for what was said."""
    rows = (line.split(" = ") for line in table.strip().splitlines())
    return tuple(
        Asked(
            prompt=prompt,
            subjects=tuple(tuple(subject.split(" | ")) for subject in subjects.split("; ")),
        )
        for prompt, subjects in rows
    )


SINGLE = _asked("""
a cat = cat | black cat
a brown dog = dog | service dog | guide dog | poodle
a fox in the snow = fox
an owl under a night sky = owl
a penguin = penguin
a purple octopus = octopus
a frog on the grass = frog
a lion at sunset = lion
an elephant = elephant
a zebra, flat style = zebra
a giraffe on a blue background = giraffe
a white horse = horse
a crab, 3d = crab
a butterfly = butterfly
a pink pig = pig
a rooster = rooster
a snail on the grass = snail
a dolphin by the sea = dolphin
a shark = shark
a tortoise = turtle
a koala = koala
a hedgehog, shaded = hedgehog
a flamingo = flamingo
a squirrel = chipmunk
a puppy = dog | service dog | guide dog | poodle
a ladybug on a green background = lady beetle
a red apple = red apple
a banana = banana
a bunch of grapes = grapes
a strawberry on a yellow background = strawberry
a pineapple, flat = pineapple
a slice of pizza = pizza
a burger = hamburger
a hot dog = hot dog
a croissant = croissant
a donut = doughnut
a birthday cake = birthday cake
a cupcake, 3d style = cupcake
a carrot = carrot
broccoli on a white background = broccoli
an ear of corn = ear of corn
a tomato = tomato
an avocado = avocado
sushi = sushi
a pretzel = pretzel
french fries = french fries
a lollipop = lollipop
a mug of beer = beer mug | clinking beer mugs
a glass of wine = wine glass
pancakes, a drawing = pancakes
a cheese wedge = cheese wedge
a green car = automobile | sport utility vehicle
a taxi in the city = taxi
a red bus = bus | minibus | trolleybus
a fire truck = fire engine
a police car = police car
a tractor on the grass = tractor
a bicycle = bicycle
a motorcycle at sunset = motorcycle
an airplane = airplane | small airplane | airplane departure | airplane arrival
a helicopter = helicopter
a rocket under a night sky = rocket
a sailboat by the sea = sailboat
a train = locomotive | train | high-speed train | bullet train
a castle = castle | japanese castle
an anchor = anchor
a tent on the grass = tent | camping
a ferris wheel = ferris wheel
a fountain = fountain
a volcano = volcano
a blue umbrella = umbrella
a snowman in the snow = snowman | snowman without snow
the sun = sun | sun with face
a rainbow on a white background = rainbow
a ringed planet = ringed planet
a cactus = cactus
a sunflower = sunflower
a red rose = rose
a palm tree by the sea = palm tree
a fir tree in the snow = evergreen tree
a mushroom = mushroom | brown mushroom
a four leaf clover = four leaf clover
a maple leaf = maple leaf
a yellow balloon = balloon
a present, pink background = wrapped gift
a teddy bear = teddy bear
a soccer ball on the grass = soccer ball
a basketball, flat style = basketball
a trophy = trophy
a violin = violin
a guitar on a beige background = guitar
a trumpet = trumpet
a drum = drum
a crown = crown
a top hat = top hat
sunglasses = sunglasses
a camera = camera | camera with flash
an alarm clock = alarm clock
a pair of scissors = scissors
a light bulb on a dark blue background = light bulb
""")
"""100 prompts with one subject from the domain: animals, food, travel, nature, activities, objects."""

PAIRS = _asked("""
a cat and a dog = cat | black cat; dog | service dog | guide dog | poodle
a fox and a rabbit on the grass = fox; rabbit
a penguin and a seal in the snow = penguin; seal
a lion and an elephant at sunset = lion; elephant
a red apple and a banana = red apple; banana
a carrot and a tomato on a white background = carrot; tomato
a burger and french fries = hamburger; french fries
a pizza and a mug of beer = pizza; beer mug | clinking beer mugs
a car and a bicycle in the city = automobile | sport utility vehicle; bicycle
a taxi beside a bus = taxi; bus | minibus | trolleybus
a rocket and a ringed planet under a night sky = rocket; ringed planet
a sailboat and a shark = sailboat; shark
a guitar and a drum = guitar; drum
a trumpet next to a violin = trumpet; violin
a sunflower and a butterfly = sunflower; butterfly
a cactus and a camel = cactus; camel | two-hump camel
a tent and an evergreen tree on the grass = tent | camping; evergreen tree
a crown and a ring = crown; ring
a camera and sunglasses = camera | camera with flash; sunglasses
a teddy bear and a balloon = teddy bear; balloon
a cat to the left of a fish = cat | black cat; fish | tropical fish
a dog to the right of a soccer ball = dog | service dog | guide dog | poodle; soccer ball
a pear left of a lemon = pear; lemon
a green frog on the left and a red crab on the right = frog; crab
a helicopter above a castle = helicopter; castle | japanese castle
an airplane above a ship = airplane | small airplane | airplane departure; ship | passenger ship | ferry
a cloud above an umbrella = cloud; umbrella
an owl above a mushroom = owl; mushroom | brown mushroom
a turtle below a bird = turtle; bird | black bird
a fish under a duck = fish | tropical fish; duck
a monkey with a banana = monkey; banana
a panda with a birthday cake = panda; birthday cake
a bear with a honey pot = bear; honey pot
a blue bird and a yellow flower pot plant = bird | black bird; potted plant
a small mouse and a big elephant = mouse; elephant
a strawberry and a cupcake, 3d style = strawberry; cupcake
a koala and a kangaroo, flat style = koala; kangaroo
a pumpkin lantern and a ghost = jack-o-lantern; ghost
a key and a padlock = key; locked
a pencil and an open book = pencil; open book
a christmas tree and a wrapped gift = christmas tree; wrapped gift
a basketball and a trophy = basketball; trophy
a snowman and a sled in the snow = snowman | snowman without snow; sled
a flamingo and a palm tree by the sea = flamingo; palm tree
""")
"""44 prompts with two subjects that both must be found, each in its own place."""

SHEET: tuple[str, ...] = (
    # single things
    "a cat", "a red apple", "a lighthouse", "a hamburger", "an old steam train", "a happy face",
    # several subjects
    "a cat, a dog and a fox", "a red apple on a blue plate", "a robot in front of a castle",
    "a dog wearing a hat", "a bear with a balloon and a birthday cake", "a monkey riding a bicycle",
    "a knight, a dragon and a princess",
    # counts
    "two ducks by the sea", "three red balloons on a yellow background", "four strawberries",
    "two cats and three fish", "3 small mushrooms on the grass", "a dozen eggs",
    # places
    "a pear to the left of a lemon", "a dog to the right of a soccer ball", "an airplane above a ship",
    "a turtle below a bird", "a mouse on top of an elephant",
    # sizes
    "a small mouse and a big elephant", "a tiny house", "a huge snail next to a little car",
    # colors
    "an orange tiger", "a yellow taxi", "a green dragon under a night sky", "a teal teapot",
    "a blue rose", "a purple octopus, 3d style", "a pink elephant", "a brown horse", "a beige rabbit",
    "a white cat on a black background", "a gray wolf", "a black crown on a white background",
    "a gold key on a dark red background",
    # backgrounds
    "a unicorn, pink background", "a rocket in space", "a rabbit on the grass",
    "a sailboat on the ocean", "a bear in the snow", "a penguin at sunset", "a taxi in the city",
    "a yellow car and a blue bus in the city",
    # styles
    "a robot, 3d", "a pizza, flat style", "a fox, shaded", "a drawing of a violin", "a minimalist camera",
    # unknown words
    "a gryphon", "a zamboni on the grass", "a photo of my grandfather", "a quokka eating a mango",
    # other languages
    "ein roter Apfel", "un chat noir", "una tortuga verde en la playa", "\u5bff\u53f8",
    # nonsense
    "asdf qwer zxcv", "!!! ???", "colorless green ideas sleep furiously",
)  # fmt: skip
"""64 prompts for the eye, each drawn with both of `SHEET_SEEDS`."""

SHEET_SEEDS = (1, 2)

STRENGTHS = (0.125, 0.2, 0.25, 0.3, 0.35, 0.45, 0.6, 1.0)
"""The grid on which the earned strength is sought."""

GRID = SINGLE[::3]
"""34 of the single-subject prompts, spread over the list: drawn at each of `STRENGTHS`."""

"""Words to draw: common English ones, invented ones and numbers."""

import random
from collections.abc import Sequence

from .glyphs import Master, distance_map, drawable, font_paths

COMMON = """
able acid air animal apple area arm army art baby back bag ball band bank bar base bath beach
bear beauty bed bee beer bell bicycle big bird blood board boat body bone book boot bottle bowl
box boy brain branch bread breath brick bridge broad brother brown brush building bus bush butter
button cable cake camel camera can candle car card care carpet castle cat cattle cause centre chain
chair chalk cheese cherry chest chicken church city clean clear clock cloth cloud coal coast coat
coffee cold collar comb cook copper cord cork corn cotton country cow crop cup curtain dark day
daisy deer desk dog door dress drink drum dust ear earth east edge egg elephant engine eye face
farm fast feather field finger fire fish flag flame flight floor flower fly foot forest fork fox
frame frog fruit full garden gate girl glass glove goat gold good grain grass great green ground
guitar gun hair hammer hand happy harbour hat head heart highway hill home hook horse hospital
hour house ice industry ink insect iron island jelly jewel journey judge jump kettle key kind king
kitchen knee knife lake lamp land leaf leather leg lemon letter level library light lily lion lip
lizard lock machine map market meadow meal meat metal milk mind mine minute money monkey month moon
morning mother motion mountain mouse mouth muscle music nail name neck needle nerve nest net news
night noise north nose nut ocean office oil onion orange orchid oven owl page paint pansy paper park
pasture pen pencil permanent person pig pin pipe pizza plane plant plate play plough pocket polar
pot potato powder price prison queen quick quiet rabbit rail rain rat ray record residential rice
ring river road rod roof room root rose sail salad salt sand satellite school science scissors
screw sea seat seed sheep shelf ship shirt shoe sign silk silver skin skirt sky sleep small smoke
snake snow soap sock soup south spade sponge spoon spring square stamp star station steam steel
stem stick stone store street sugar summer sun table tail taxi tea thread throat thumb ticket tiger
time tin toe tongue tooth town train tray tree truck tulip turtle umbrella valley vegetable vessel
violin voice wall watch water wave wax west wheel whip whistle wind window wine wing winter wire
wolf woman wood wool work world worm writing xylophone yacht year yellow young zebra zone zoo
""".split()
FOREIGN = (
    'áàâäãåæçéèêëíîïñóòôöõøßúùûüýž',
    'αβγδεζηθικλμνξοπρστυφχψω',
    'абвгдежзийклмнопрстуфхцчшщыьэюя',
)
VOWELS, CONSONANTS = 'aeiouy', 'bcdfghjklmnpqrstvwxz'


def invent(rng: random.Random, pieces: Sequence[str]) -> str:
    """A word that is in no list: number, code, foreign letters, or a pronounceable one.

    ``pieces`` are the tokenizer's merged symbols, drawn so that each of them is learnt.
    """
    kind = rng.random()
    if kind < 0.15:
        return ''.join(rng.choice('0123456789') for _ in range(rng.randint(2, 4)))
    if kind < 0.25:
        letters = VOWELS + CONSONANTS + "0123456789-'/_&+.,:!?()"
        return rng.choice(CONSONANTS) + ''.join(
            rng.choice(letters) for _ in range(rng.randint(1, 4))
        )
    if kind < 0.35:
        return ''.join(rng.choice(rng.choice(FOREIGN)) for _ in range(rng.randint(2, 4)))
    if kind < 0.6 and pieces:
        letters = VOWELS + CONSONANTS
        return (
            rng.choice(('', rng.choice(letters)))
            + rng.choice(pieces)
            + rng.choice(('', rng.choice(letters)))
        )
    pairs = (rng.choice(CONSONANTS) + rng.choice(VOWELS) for _ in range(rng.randint(1, 4)))
    return ''.join(pairs) + (rng.choice(CONSONANTS) if rng.random() < 0.6 else '')


def as_lines(word: str) -> list[str]:
    """Six characters fit into 32 pixels; a longer word goes on two lines."""
    half = (len(word) + 1) // 2
    return [word] if len(word) <= 6 else [word[:half], word[half:]]


def draw_words(number: int, rng: random.Random, pieces: Sequence[str] = ()) -> list[Master]:
    """Draw words, half common and half invented, each in a font that has its letters."""
    from PIL import ImageFont

    fonts = [
        (path.stem, ImageFont.truetype(str(path), 48), drawable(path)) for path in font_paths()
    ]
    masters: list = []
    while len(masters) < number:
        word = rng.choice(COMMON) if rng.random() < 0.5 else invent(rng, pieces)
        stem, font, points = rng.choice(fonts)
        shown = rng.choice((word, word.upper(), word.capitalize()))
        if all(ord(c) in points for c in shown):
            masters.append(Master(word, stem, distance_map(as_lines(shown), font)))
    return masters

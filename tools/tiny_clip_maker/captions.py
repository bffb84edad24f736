"""True captions for drawings, and which caption is true of which image.

An image is described by integers, one for each trait; a caption states some of them.
"""

import random
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .glyphs import DIGITS, LETTERS, Master, name_of

COLOURS = (
    'black',
    'white',
    'grey',
    'red',
    'green',
    'blue',
    'yellow',
    'orange',
    'purple',
    'pink',
    'brown',
    'cyan',
)
# The adjectives of each trait; value -1 (in between) has none.
ADJECTIVES: dict[str, tuple[str, ...]] = {
    'ink': COLOURS,
    'paper': COLOURS,
    'size': ('small', 'large'),
    'stroke': ('thin', 'bold'),
    'slant': ('upright', 'slanted', 'backslanted'),
    'warp': ('straight', 'warped'),
    'detail': ('pixelated', 'sharp'),
    'family': ('sans serif', 'serif', 'typewriter'),
}
TRAITS = ('concept', 'case', *ADJECTIVES)
UNSTATED = -1
OPENINGS = ('', '', '', 'a photo of ', 'an image of ', 'a picture of ', 'this is ', 'a drawing of ')


class Caption(NamedTuple):
    """A text and the traits it states (UNSTATED elsewhere), in the order of TRAITS."""

    text: str
    traits: list[int]


def family_of(font: str) -> int:
    """Index into ADJECTIVES['family']."""
    if 'Mono' in font or 'cmtt' in font:
        return 2
    return 0 if 'Sans' in font or 'cmss' in font else 1


def noun(concept: str, rng: random.Random) -> tuple[str, bool]:
    """A noun phrase for what is drawn, and whether it states upper or lower case."""
    if len(concept) > 1:
        return rng.choice(('the word {}', 'the text {}', '{}')).format(concept), False
    name = name_of(concept)
    if concept in DIGITS:
        name = rng.choice((name, concept))
        return rng.choice(('the digit {}', 'the number {}', 'digit {}', '{}')).format(name), False
    if concept not in LETTERS:
        return rng.choice(('the {}', 'the symbol {}', '{}')).format(name), False
    case = 'capital' if concept.isupper() else 'small'
    if rng.random() < 0.5:
        return f'the {case} letter {name}', True
    return rng.choice(('the letter {}', '{}')).format(name), False


def describe(concept: str, traits: list[int], talk: float, rng: random.Random) -> Caption:
    """Make a caption.

    Args:
        concept: The character or word drawn.
        traits: What is true of the image, in the order of TRAITS.
        talk: Probability of stating each trait besides the concept.
        rng: Source of the choices.
    """
    phrase, states_case = noun(concept, rng)
    stated = [traits[0], traits[1] if states_case else UNSTATED]
    words, ground = [], ''
    for trait, value in zip(TRAITS[2:], traits[2:]):
        told = value != UNSTATED and rng.random() < talk
        stated.append(value if told else UNSTATED)
        if told and trait == 'paper':
            ground = f' on {COLOURS[value]}'
        elif told:
            words.append(ADJECTIVES[trait][value])
    rng.shuffle(words)
    if words and phrase.startswith('the '):  # 'the bold red digit seven'
        phrase = ' '.join(['the', *words, phrase[4:]])
    else:
        phrase = ' '.join([*words, phrase])
    return Caption(rng.choice(OPENINGS) + phrase + ground + rng.choice(('', '.')), stated)


def chain(captions: list[Caption]) -> Caption:
    """Join captions of one image: long texts train the later positions."""
    texts = [caption.text.rstrip('.') for caption in captions]
    stated = np.array([caption.traits for caption in captions])
    return Caption('. '.join(texts) + '.', stated.max(0).tolist())  # UNSTATED is the least


class Captioner:
    """Words for batches of images.

    Args:
        masters: The drawings that the images are made of.
        rng: Source of the wording.
    """

    def __init__(self, masters: list[Master], rng: random.Random):
        # A letter is one concept in both cases; the case is a trait of its own.
        names = [m.concept.lower() if m.concept in LETTERS else m.concept for m in masters]
        index = {name: i for i, name in enumerate(dict.fromkeys(names))}
        self.masters, self.rng = masters, rng
        self.fixed = [
            (index[name], int(m.concept.isupper()) if m.concept in LETTERS else UNSTATED)
            for name, m in zip(names, masters)
        ]

    def __call__(
        self, chosen: Sequence[int], traits: Sequence[Sequence[int]], talk: float
    ) -> tuple[list[str], np.ndarray, np.ndarray]:
        """Describe B images.

        Args:
            chosen: B indices of masters.
            traits: B lists of the traits besides concept and case.
            talk: Probability of stating each of these.

        Returns:
            B texts, what they state (B, T), and what is true of the images (B, T).
        """
        truth = [[*self.fixed[i], *rest] for i, rest in zip(chosen, traits)]
        captions = [self.one(i, known, talk) for i, known in zip(chosen, truth)]
        stated = np.array([caption.traits for caption in captions])
        return [caption.text for caption in captions], stated, np.array(truth)

    def one(self, index: int, known: list[int], talk: float) -> Caption:
        """One caption; of 17, one is a chain of two to four."""
        repeats = self.rng.randint(2, 4) if self.rng.random() < 0.06 else 1
        captions = [
            describe(self.masters[index].concept, known, talk, self.rng) for _ in range(repeats)
        ]
        return captions[0] if repeats == 1 else chain(captions)


def agreement(stated: np.ndarray, traits: np.ndarray) -> np.ndarray:
    """Which caption is true of which image.

    Args:
        stated: (B, T) what the captions state.
        traits: (B, T) what is true of the images.

    Returns:
        (B images, B captions) of bool: nothing stated is untrue.
    """
    told = stated[None]
    return ((told == UNSTATED) | (told == traits[:, None])).all(-1)

"""Warp and paint many distance maps at once, on a seeded torch generator."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .captions import COLOURS, UNSTATED, family_of
from .glyphs import DIGITS, LETTERS, Master

SIZE = 32  # pixels per side of the finished image
RESOLUTIONS = (8, 10, 12, 16, 24, SIZE)  # what an image is reduced to before it is enlarged
MEAN = (0.48145466, 0.4578275, 0.40821073)  # CLIP's normalisation
STD = (0.26862954, 0.26130258, 0.27577711)
RGB = (
    torch.tensor(
        [
            [0, 0, 0],
            [255, 255, 255],
            [128, 128, 128],
            [215, 35, 35],
            [40, 150, 50],
            [40, 70, 210],
            [240, 220, 50],
            [245, 140, 30],
            [130, 50, 160],
            [245, 150, 190],
            [130, 80, 40],
            [60, 200, 220],
        ]
    )
    / 255
)
# How often each kind of drawing is shown.
SHARES = {'digit': 0.25, 'letter': 0.3, 'other': 0.25, 'word': 0.2}


class Batch(NamedTuple):
    """Finished images, the drawing behind each, and its traits besides concept and case."""

    images: Tensor  # (B, 3, SIZE, SIZE), normalised
    chosen: Tensor  # (B,) index of the master
    traits: Tensor  # (B, T) int64, in the order of captions.ADJECTIVES


def kind_of(concept: str) -> str:
    """'digit', 'letter', 'word' or 'other'."""
    if len(concept) > 1:
        return 'word'
    return 'digit' if concept in DIGITS else 'letter' if concept in LETTERS else 'other'


class Painter:
    """Draw random images of given masters.

    Args:
        masters: Drawings with their distance maps.
    """

    def __init__(self, masters: list[Master]):
        self.masters = masters
        self.maps = torch.stack([torch.from_numpy(m.distance) for m in masters])
        self.kinds = [kind_of(m.concept) for m in masters]
        counts = {kind: self.kinds.count(kind) for kind in set(self.kinds)}
        self.weights = torch.tensor([SHARES[kind] / counts[kind] for kind in self.kinds])
        self.is_word = torch.tensor([kind == 'word' for kind in self.kinds])
        self.family = torch.tensor([family_of(m.font) for m in masters])
        self.bold = torch.tensor(['Bol' in m.font or 'cmb' in m.font for m in masters])
        self.slanted = torch.tensor(
            [any(s in m.font for s in ('Ita', 'Oblique', 'cmti', 'cmmi')) for m in masters]
        )

    def sample(self, number: int, difficulty: float, rng: torch.Generator) -> Batch:
        """Choose masters by SHARES and draw them."""
        chosen = torch.multinomial(self.weights, number, replacement=True, generator=rng)
        return self.draw(chosen, difficulty, rng)

    def draw(self, chosen: Tensor, difficulty: float, rng: torch.Generator) -> Batch:
        """Draw one image of each chosen master.

        Args:
            chosen: (B,) indices of masters.
            difficulty: 0 (plain print) to 1 (full distortion).
            rng: Source of all randomness.
        """
        word = self.is_word[chosen]
        # Words stay legible only if distorted less.
        hard = torch.where(word, 0.3, 1.0) * difficulty * uniform(0.4, 1, len(word), rng)
        grid, zoom, lean, bend = warp_grid(hard, word, rng)
        maps = self.maps[chosen, None].float() / 10
        signed = F.grid_sample(maps, grid, padding_mode='border', align_corners=False)
        ink, weight, softness = stroke(signed, maps, hard, rng)
        image, front, back = paint(ink, rng)
        image, resolution = degrade(image, word, hard, rng)
        traits = torch.stack(
            [
                front,
                back,
                two_sided(zoom, 0.8, 1.1),
                two_sided(weight + 2 * self.bold[chosen], -1.0, 1.9),
                slant_trait(lean + 0.2 * self.slanted[chosen]),
                two_sided(bend, 0.03, 0.08),
                two_sided(resolution.where(softness < 0.9, resolution.clamp(max=24)), 12.5, 30),
                self.family[chosen].where(bend < 0.06, torch.tensor(UNSTATED)),
            ],
            1,
        )
        mean, std = (torch.tensor(v).view(3, 1, 1) for v in (MEAN, STD))
        return Batch((image - mean) / std, chosen, traits)


def uniform(low: float, high: float, size, rng: torch.Generator) -> Tensor:
    """Uniform numbers from a seeded generator."""
    return low + (high - low) * torch.rand(size, generator=rng)


def two_sided(value: Tensor, low: float, high: float) -> Tensor:
    """0 below low, 1 above high, UNSTATED in between."""
    return torch.where(value < low, 0, torch.where(value > high, 1, UNSTATED))


def slant_trait(lean: Tensor) -> Tensor:
    """0 upright, 1 leaning to the right, 2 to the left, UNSTATED in between."""
    leaning = torch.where(lean > 0.15, 1, torch.where(lean < -0.15, 2, UNSTATED))
    return torch.where(lean.abs() < 0.08, 0, leaning)


def warp_grid(hard: Tensor, word: Tensor, rng: torch.Generator):
    """Random affine map with an elastic part.

    Args:
        hard: (B,) difficulty of each image.
        word: (B,) bool, words only shrink.

    Returns:
        Sampling grid (B, SIZE, SIZE, 2), zoom (B,), lean to the right (B,), elastic amplitude (B,).
    """
    number = len(hard)
    zoom = torch.exp(uniform(-0.4, 0.45, number, rng) * (0.3 + 0.7 * hard))
    zoom = torch.where(word, zoom.clamp(max=1.05), zoom)
    stretch = torch.exp(uniform(-0.3, 0.3, number, rng) * hard)
    angle = uniform(-0.3, 0.3, number, rng) * hard
    shear = uniform(-0.45, 0.45, number, rng) * hard
    cos, sin = angle.cos(), angle.sin()
    rotate = torch.stack([cos, -sin, sin, cos], 1).view(-1, 2, 2)
    skew = torch.eye(2).repeat(number, 1, 1)
    skew[:, 0, 1] = shear
    scale = torch.diag_embed(torch.stack([1 / (zoom * stretch), stretch / zoom], 1))
    shift = uniform(-0.18, 0.18, (number, 2, 1), rng) * hard.view(-1, 1, 1)
    theta = torch.cat([scale @ skew @ rotate, shift], 2)
    grid = F.affine_grid(theta, [number, 1, SIZE, SIZE], align_corners=False)
    bend = uniform(0, 0.16, number, rng) * hard
    field = smooth_field(number, 2, int(torch.randint(3, 6, (), generator=rng)), rng)
    return grid + (bend.view(-1, 1, 1, 1) * field).permute(0, 2, 3, 1), zoom, shear - angle, bend


def smooth_field(number: int, channels: int, knots: int, rng: torch.Generator) -> Tensor:
    """Gaussian numbers on a coarse grid, enlarged: (B, channels, SIZE, SIZE)."""
    coarse = torch.randn(number, channels, knots, knots, generator=rng)
    return F.interpolate(coarse, size=(SIZE, SIZE), mode='bicubic', align_corners=True)


def stroke(signed: Tensor, maps: Tensor, hard: Tensor, rng: torch.Generator):
    """Turn distances into ink of random weight, uneven pressure and softness.

    Returns:
        Coverage (B, 1, SIZE, SIZE) in [0, 1]; the change of weight (B,) and the width of
        the edge (B,), both in pixels of the canvas.
    """
    number = len(signed)
    half_width = maps.clamp(min=0).flatten(1).amax(1)
    weight = uniform(-1, 1, number, rng) * hard
    weight = torch.where(weight < 0, 0.5 * weight * half_width, 4 * weight)
    pressure = uniform(0, 0.8, (number, 1, 1, 1), rng) * smooth_field(number, 1, 4, rng)
    softness = 0.4 + uniform(0, 1.4, number, rng) * hard
    level = signed + weight.view(-1, 1, 1, 1) + pressure * hard.view(-1, 1, 1, 1)
    return torch.sigmoid(level / softness.view(-1, 1, 1, 1)), weight, softness


def paint(ink: Tensor, rng: torch.Generator):
    """Colours: half of the images black on white or white on black, half any two colours.

    Returns:
        Images (B, 3, SIZE, SIZE) in [0, 1], colour indices of ink (B,) and paper (B,).
    """
    number, count = len(ink), len(COLOURS)
    front = torch.randint(count, (number,), generator=rng)
    back = (front + torch.randint(1, count, (number,), generator=rng)) % count
    plain = torch.rand(number, generator=rng) < 0.5
    white = torch.randint(2, (number,), generator=rng)
    front, back = torch.where(plain, white, front), torch.where(plain, 1 - white, back)
    shade = uniform(-0.08, 0.08, (2, number, 3, 1, 1), rng) * ~plain.view(-1, 1, 1, 1)
    above = RGB[front].view(-1, 3, 1, 1) + shade[0]
    below = RGB[back].view(-1, 3, 1, 1) + shade[1]
    return (below + ink * (above - below)).clamp(0, 1), front, back


def degrade(image: Tensor, word: Tensor, hard: Tensor, rng: torch.Generator):
    """Reduce and enlarge most images, add noise to some.

    Returns:
        Images (B, 3, SIZE, SIZE) in [0, 1] and the resolution (B,) each was reduced to.
    """
    number = len(image)
    pick = torch.randint(len(RESOLUTIONS), (number,), generator=rng)
    pick = torch.where(uniform(0, 1, number, rng) < hard, pick, len(RESOLUTIONS) - 1)
    pick = torch.where(word, pick.clamp(min=len(RESOLUTIONS) - 2), pick)
    image = image.clone()
    for i, side in enumerate(RESOLUTIONS[:-1]):
        small = F.interpolate(image[pick == i], size=(side, side), mode='area')
        image[pick == i] = F.interpolate(small, size=(SIZE, SIZE), mode='bicubic', antialias=True)
    amount = (uniform(-0.1, 0.1, number, rng).clamp(min=0) * hard).view(-1, 1, 1, 1)
    image = image + amount * torch.randn(image.shape, generator=rng)
    return image.clamp(0, 1), torch.tensor(RESOLUTIONS)[pick].float()

"""Is the choice of ``mmdpt fit`` worth it? Against always taking DPT, CoOp or the linear probe.

    python tools/check_fit.py --minutes 3 --json check_fit.json

Five small data sets are made of what is at hand, each with a large test part of its own:
scikit-learn's digits; the same turned and inverted; the same with noise; typed letters;
drawn shapes. The CLIP is the built-in one. For developers.
"""

import argparse
import json
import random
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SIZE, TRAIN, TEST = 32, 12, 30
ALWAYS = ('zeroshot', 'linear_probe', 'coop', 'dpt')
DIGITS = 'zero one two three four five six seven eight nine'.split()
SHAPES = ('circle', 'square', 'triangle', 'cross', 'ring', 'star')


def digits(change=lambda pixels, rng: pixels):
    """(class, image) of the digits, changed by a function of pixels (8, 8) from 0 to 1."""
    from sklearn.datasets import load_digits

    found, rng = load_digits(), np.random.default_rng(0)
    for pixels, label in zip(found.images / 16, found.target):
        pixels = np.clip(change(pixels, rng), 0, 1)
        image = Image.fromarray((255 - 255 * pixels).astype(np.uint8))
        yield DIGITS[label], image.resize((SIZE, SIZE), Image.Resampling.BICUBIC)


def turned(pixels, rng):
    """A quarter turn, and inverted."""
    return 1 - np.rot90(pixels)


def noisy(pixels, rng):
    """Strong noise."""
    return pixels + rng.normal(0, 0.35, pixels.shape)


def letters():
    """(class, image) of typed letters, small and capital, in the fonts of matplotlib."""
    import matplotlib

    folder = Path(matplotlib.get_data_path(), 'fonts', 'ttf')
    fonts = sorted(p for p in folder.glob('DejaVuS*.ttf') if 'Display' not in p.name)
    rng = random.Random(0)
    for letter in 'abdeghqr':
        for _ in range(TRAIN + TEST):
            image = Image.new('L', (SIZE, SIZE), 255)
            font = ImageFont.truetype(str(rng.choice(fonts)), rng.randint(16, 26))
            text = rng.choice((letter, letter.upper()))
            place = (rng.randint(4, 12), rng.randint(0, 6))
            ImageDraw.Draw(image).text(place, text, fill=rng.randint(0, 90), font=font)
            yield letter, image.rotate(rng.uniform(-25, 25), fillcolor=255)


def shapes():
    """(class, image) of shapes in colours, of any size and place."""
    rng = random.Random(0)
    for name in SHAPES:
        for _ in range(TRAIN + TEST):
            image = Image.new('RGB', (SIZE, SIZE), tuple(rng.randint(150, 255) for _ in range(3)))
            draw, r = ImageDraw.Draw(image), rng.randint(6, 12)
            x, y = (rng.randint(r, SIZE - r) for _ in range(2))
            colour = tuple(rng.randint(0, 140) for _ in range(3))
            box = (x - r, y - r, x + r, y + r)
            if name in ('circle', 'ring'):
                draw.ellipse(
                    box, fill=colour if name == 'circle' else None, outline=colour, width=3
                )
            elif name == 'cross':
                draw.line((x - r, y, x + r, y), fill=colour, width=4)
                draw.line((x, y - r, x, y + r), fill=colour, width=4)
            elif name == 'star':
                ends = [
                    (r if i % 2 == 0 else r / 2.5, np.pi * i / 5 - np.pi / 2) for i in range(10)
                ]
                draw.polygon([(x + d * np.cos(a), y + d * np.sin(a)) for d, a in ends], fill=colour)
            else:
                sides = 4 if name == 'square' else 3
                draw.regular_polygon((x, y, r), sides, fill=colour)
            yield name, image


SETS = dict(
    digits=(digits, 'a photo of the digit {}.'),
    turned=(lambda: digits(turned), 'a photo of the digit {}.'),
    noisy=(lambda: digits(noisy), 'a photo of the digit {}.'),
    letters=(letters, 'a photo of the letter {}.'),
    shapes=(shapes, 'a photo of a {}.'),
)


def write(images, folder: Path) -> Path:
    """Photos, and a CSV file with a training and a test part."""
    counts, lines = {}, ['path,label,split']
    for name, image in images:
        number = counts[name] = counts.get(name, -1) + 1
        if number < TRAIN + TEST:
            place = Path(name, f'{number}.png')
            (folder / name).mkdir(parents=True, exist_ok=True)
            image.save(folder / place)
            lines.append(f'{place},{name},{"train" if number < TRAIN else "test"}')
    path = folder / 'photos.csv'
    path.write_text('\n'.join(lines))
    return path


def compare(name: str, folder: Path, minutes: float) -> dict:
    """The test accuracy of fit's choice and of methods that are always taken."""
    import mmdpt
    from mmdpt.fitting.compose import Setting, compose
    from mmdpt.fitting.methods import METHODS
    from mmdpt.fitting.runs import run, silence, write_config

    images, template = SETS[name]
    photos, out = write(images(), folder / name), folder / f'{name}_out'
    begin = time.monotonic()
    found = mmdpt.fit(
        str(photos), str(out), arch='mmdpt-tiny', templates=[template], minutes=minutes
    )
    row = dict(
        chosen=found.chosen.name,
        seconds=round(time.monotonic() - begin, 1),
        of_budget=round((time.monotonic() - begin) / 60 / minutes, 3),
        fit=found.test.model.accuracy,
        zeroshot=found.test.zero_shot.accuracy,
        curve=[(p.train_images, p.accuracy) for p in found.curve.points] if found.curve else None,
        left_out=[tried.name for tried in found.methods if tried.left_out],
    )
    setting = Setting('mmdpt-tiny', 'mmdpt-tiny', (template,), str(photos.parent), 1)
    for method in (METHODS[name] for name in ALWAYS if name != 'zeroshot'):
        tried = {t.name: t.settings for t in found.methods if t.result}
        place = str(folder / f'{name}_{method.name}')
        text = compose(
            method,
            setting,
            str(out / 'split.json'),
            tried.get(method.name) or method.settings[len(method.settings) // 2],
        )
        with silence(str(folder / 'log.txt')):
            learnt = run(write_config(text, place), place).learnt
        row[method.name] = 100 * learnt.correct().float().mean().item()
    return row


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--minutes', type=float, default=3.0)
    parser.add_argument('--sets', nargs='+', default=list(SETS), choices=list(SETS))
    parser.add_argument('--json')
    args = parser.parse_args()
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in args.sets:
            print(f'\n== {name}', flush=True)
            rows[name] = compare(name, Path(folder), args.minutes)
            print(rows[name], flush=True)
            if args.json:
                Path(args.json).write_text(json.dumps(rows, indent=1))
    print(f'\n{"":14}' + ''.join(f'{name:>13}' for name in ('fit', *ALWAYS)))
    for name, row in rows.items():
        cells = ''.join(f'{row[m]:12.1f} ' for m in ('fit', *ALWAYS))
        print(f'{name:14}{cells} {row["chosen"]}, {row["of_budget"]:.2f} of the time')
    means = (np.mean([row[m] for row in rows.values()]) for m in ('fit', *ALWAYS))
    print(f'{"mean":14}' + ''.join(f'{mean:12.1f} ' for mean in means))


if __name__ == '__main__':
    main()

"""Check a dataset on disk: layout, lists, counts, class order, images."""

import logging
import os
import os.path as osp
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from statistics import median
from typing import NamedTuple

import numpy as np
from mmengine.logging import MMLogger

from .benchmarks import repeated
from .layouts import Layout
from .looks import Look, read_all
from .own_files import nearest, told_skipped
from .split_files import Split
from .twins import Place, contradictions, find_alike, find_twins, leaks, places, told

SHOWN = 5  # so many bad images are named
FEW = 5  # images of a class


class Finding(NamedTuple):
    """One line of the report."""

    ok: bool
    text: str
    note: bool = False  # not wrong, but to be known


def check_dataset(layout: Layout, deep: bool = False, workers: int = 1) -> list[Finding]:
    """Check a dataset; go on as far as possible.

    Args:
        layout (Layout): Of the benchmark.
        deep (bool): Decode the images; otherwise only their headers are read.
            Defaults to False.
        workers (int): Processes that read images. Defaults to 1.

    Returns:
        list[Finding]: What was found, good and bad, with the remedy.
    """
    benchmark, findings = layout.benchmark, []
    for name in layout.wanted() or ['']:
        path = layout.path(name) if name else layout.data_root
        there = osp.isdir(path) if name.endswith('/') else osp.exists(path)
        findings.append(Finding(there, f'{path} {"is" if there else "is not"} there'))
    if not all(f.ok for f in findings):
        extra = '' if osp.isdir(layout.folder) else f' ({layout.folder} is where it all belongs)'
        findings.append(Finding(False, layout.remedy() + extra))
        return findings
    try:
        names, split = _quietly(layout)
    except (ValueError, OSError) as error:
        return findings + [Finding(False, str(error))]
    findings += check_classes_and_counts(benchmark, names, split)
    if layout.skipped:
        findings.append(Finding(True, told_skipped(layout.skipped), note=True))
    pictures = places(split)
    findings += check_balance(pictures)
    images, looks = check_images(layout.images, [p.path for p in pictures], deep, workers)
    findings += images + check_twins(layout, pictures)
    return findings + (check_alike(pictures, looks) if deep else [])


def _quietly(layout: Layout):
    """Names and lists; what reading would warn of, the report says."""
    with _silent():
        return layout.class_names(), layout.read()


@contextmanager
def _silent():
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def unique_lists(split: Split) -> list[list]:
    """The lists, without one that stands for two."""
    return [split.train, [] if split.val is split.test else split.val, split.test]


def check_classes_and_counts(benchmark, names: Sequence[str], split: Split) -> list[Finding]:
    """Compare with the published numbers."""
    number, sizes = benchmark.num_classes, benchmark.sizes
    ok = number in (None, len(names))
    findings = [Finding(ok, f'{len(names)} classes' + ('' if ok else f', published: {number}'))]
    found = tuple(len(items) for items in unique_lists(split))
    ok = sizes in (None, found)
    text = '/'.join(map(str, found)) + ' images (train/val/test)'
    if not ok:
        text += (
            f', published: {"/".join(map(str, sizes))}. '
            'Results cannot be compared with published ones; '
            f'{benchmark.source}'
        )
    findings.append(Finding(ok, text))
    ends = [*names[:3], '...', *names[-1:]] if len(names) > 4 else names
    findings.append(Finding(True, f'class order: {", ".join(ends)}'))
    if repeated(names):
        findings.append(
            Finding(True, f'classes of the same name (as published): {", ".join(repeated(names))}')
        )
    return findings


def check_images(
    folder: str, paths: Sequence[str], deep: bool, workers: int
) -> tuple[list[Finding], dict[str, Look]]:
    """Look for images that are missing, empty or do not decode.

    Returns:
        tuple: Findings, and what each path that is there looks like.
    """
    missing = missing_images(folder, paths)
    findings = [
        _summary(
            not missing,
            f'{len(paths)} images are there',
            f'{len(missing)} of {len(paths)} images are missing under {folder}',
            missing,
        )
    ]
    gone = set(missing)
    there = [path for path in paths if path not in gone]
    with _silent():
        found = read_all([osp.join(folder, path) for path in there], deep, workers)
        looks = dict(zip(there, found))
    bad = [look.bad for look in looks.values() if look.bad]
    how = 'decode' if deep else 'have an image header (--deep decodes them)'
    findings.append(
        _summary(
            not bad,
            f'all {how}',
            f'{len(bad)} images do not decode; replace them with intact copies',
            sorted(bad),
        )
    )
    clear = sum(look.clear for look in looks.values())
    if clear:
        how = 'have transparent parts, which show' if deep else 'may (--deep tells) show'
        findings.append(
            Finding(True, f'{clear} images {how} dataset.background, white by default', note=True)
        )
    return findings, looks


def check_balance(pictures: list[Place]) -> list[Finding]:
    """Tell of classes with few images; a slip of the pen makes such ones."""
    counts = Counter(place.name for place in pictures)
    usual = median(counts.values())
    few = [name for name, n in counts.items() if n < FEW or n * 10 <= usual]
    if not few:
        return []
    words = ', '.join(f'{name!r} has {counts[name]}{nearest(name, counts)}' for name in few[:SHOWN])
    more = f' and {len(few) - SHOWN} more' if len(few) > SHOWN else ''
    text = f'classes with few images (fewer than {FEW}, or a tenth of the usual {usual:g}): '
    return [Finding(True, f'{text}{words}{more}', note=True)]


def check_twins(layout: Layout, pictures: list[Place]) -> list[Finding]:
    """Look for the same picture in two lists or two classes."""
    twins = find_twins(layout.images, pictures)
    own = layout.benchmark.layout == 'own'
    findings = []
    for groups, where, allowed in (
        (leaks(twins), 'list', not own or layout.benchmark.allow_leaks),
        (contradictions(twins), 'class', not own),
    ):
        if groups:
            text = f'{len(groups)} pictures are in more than one {where}: {told(groups)}'
            remedy = '' if not own else '; remove the copies'
            findings.append(Finding(allowed, text + remedy, note=allowed))
    return findings


def check_alike(pictures: list[Place], looks: dict[str, Look]) -> list[Finding]:
    """Tell of pictures in two lists that look alike, perhaps one saved twice."""
    seen = [place for place in pictures if place.path in looks]
    known = [place for place in seen if looks[place.path].hash is not None]
    if not known:
        text = 'pictures that look alike are not looked for: pip install imagehash'
        return [Finding(True, text, note=True)] if seen else []
    pairs = find_alike(known, np.array([looks[place.path].hash for place in known]))
    if not pairs:
        return [Finding(True, 'no pictures of two lists look alike')]
    text = f'{len(pairs)} pairs of pictures in two lists look alike, see for yourself: '
    return [Finding(True, text + told(pairs), note=True)]


def _summary(ok: bool, good: str, bad: str, examples: list[str]) -> Finding:
    if ok:
        return Finding(True, good)
    more = f' and {len(examples) - SHOWN} more' if len(examples) > SHOWN else ''
    return Finding(False, f'{bad}: {", ".join(examples[:SHOWN])}{more}')


def missing_images(folder: str, paths: Iterable[str]) -> list[str]:
    """Paths that are not there, found by listing each folder once."""
    groups: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        groups[osp.dirname(path)].append(path)
    missing = []
    for name, group in groups.items():
        place = osp.join(folder, name)
        found = set(os.listdir(place)) if osp.isdir(place) else set()
        missing += [p for p in group if osp.basename(p) not in found]
    return sorted(missing)

"""Check a dataset on disk: layout, lists, counts, class order, images."""

import logging
import os
import os.path as osp
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from typing import NamedTuple

from mmengine.logging import MMLogger
from mmengine.utils import ProgressBar

from mmdpt.utils.files import open_regular

from .benchmarks import repeated
from .layouts import Layout
from .pictures import MAX_BYTES, opacity, opened
from .split_files import Split
from .transforms import read_image
from .twins import Place, contradictions, find_twins, leaks, places, told

SHOWN = 5  # so many bad images are named


class Finding(NamedTuple):
    """One line of the report."""

    ok: bool
    text: str
    note: bool = False  # not wrong, but to be known


class Look(NamedTuple):
    """What an image is like."""

    bad: str = ''  # its path and why it cannot be read
    clear: bool = False  # transparent in parts


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
    pictures = places(split)
    findings += check_images(layout.images, [place.path for place in pictures], deep, workers)
    return findings + check_twins(layout, pictures)


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


def check_images(folder: str, paths: Sequence[str], deep: bool, workers: int) -> list[Finding]:
    """Look for images that are missing, empty or do not decode."""
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
    there = [osp.join(folder, path) for path in paths if path not in gone]
    with _silent():
        looks = list(read_all(there, deep, workers))
    bad = [look.bad for look in looks if look.bad]
    how = 'decode' if deep else 'have an image header (--deep decodes them)'
    findings.append(
        _summary(
            not bad,
            f'all {how}',
            f'{len(bad)} images do not decode; replace them by intact copies',
            sorted(bad),
        )
    )
    clear = sum(look.clear for look in looks)
    if clear:
        how = 'have transparent parts, which show' if deep else 'may (--deep tells) show'
        findings.append(
            Finding(True, f'{clear} images {how} dataset.background, white by default', note=True)
        )
    return findings


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


def read_all(paths: Sequence[str], deep: bool, workers: int):
    """Yield a :class:`Look` at each image.

    Raises:
        BrokenProcessPool: If a reading process is killed.
    """
    read = partial(look_at, deep=deep)
    if not paths:
        return
    steps = 100
    bar, done = ProgressBar(steps, file=sys.stderr), 0
    # unlike multiprocessing's pool, it raises if a process is killed
    with ProcessPoolExecutor(max(workers, 1), get_context('fork')) as pool:
        for i, look in enumerate(pool.map(read, paths, chunksize=64), 1):
            if i * steps // len(paths) > done:  # a line of per cent
                bar.update(i * steps // len(paths) - done)
                done = i * steps // len(paths)
            yield look
    print(file=sys.stderr)


def look_at(path: str, deep: bool) -> Look:
    """Read an image, or its header."""
    try:
        if deep:
            read_image(path)
        with open_regular(path, MAX_BYTES) as file, opened(file) as image:
            clear = image.has_transparency_data and (not deep or opacity(image) is not None)
    except Exception as error:  # Pillow raises nearly anything on damaged files
        text = str(error).replace(repr(path), '').replace('The image ', '').strip()
        return Look(bad=f'{path} ({text or type(error).__name__})')
    return Look(clear=clear)

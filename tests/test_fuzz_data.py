"""Split files, CSV lists and folders of photos that were changed.

What is accepted is compared with what plain readers of JSON and CSV, or a listing of the folder,
find in the same file; no picture stands in two lists, by name or by content.
"""

import csv
import hashlib
import io
import json
import os
import posixpath
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from helpers.fuzz import Quiet, fuzz, outcome
from helpers.mutate import TEXTS, changed, other_bytes
from PIL import Image

from mmdpt.datasets import get_layout, own_benchmark
from mmdpt.datasets.index import SUFFIXES
from mmdpt.datasets.looks import look_at
from mmdpt.datasets.transforms import read_image

CLASSES = ('ant', 'bee', 'cat')
PARTS = ('train', 'train', 'train', 'val', 'test', 'test')


@pytest.fixture(scope='module')
def photos(tmp_path_factory):
    """A folder with six photos of each class, and the lists of them."""
    folder, before = tmp_path_factory.mktemp('photos'), os.getcwd()
    os.chdir(folder)
    noise, split, rows = np.random.default_rng(0), dict(train=[], val=[], test=[]), []
    for label, name in enumerate(CLASSES):
        os.makedirs(f'photos/{name}')
        for number, part in enumerate(PARTS):
            path = f'photos/{name}/{number}.png'
            Image.fromarray(noise.integers(0, 255, (8, 8, 3), np.uint8)).save(path)
            split[part].append([path, label, name])
            rows.append([path, name, part])
    try:
        yield Quiet(split=split, rows=rows)
    finally:
        os.chdir(before)


def read(path, **options):
    """Class names and lists, as a training takes them."""
    found = get_layout(own_benchmark('Mine', **options), path)
    names, split = found.class_names(), found.read()
    found.check_leaks()
    return names, split, found


def check(names, split):
    """What is true of all data that are accepted."""
    items = [item for part in split for item in part]
    assert len(names) > 1 and {item.label for item in split.train} == set(range(len(names)))
    assert all(names[item.label] == item.name and item.name.isprintable() for item in items)
    paths = [posixpath.normpath(item.path) for item in items]
    assert len(set(paths)) == len(paths)
    contents: dict = {}
    for part, some in split._asdict().items():
        for item in some:
            if os.path.isfile(item.path):
                digest = hashlib.sha256(Path(item.path).read_bytes()).digest()
                assert contents.setdefault(digest, part) == part


@fuzz
def test_split_files(photos, rnd):
    split = photos['split']
    if rnd.random() < 0.4:
        data = other_bytes(json.dumps(split).encode(), rnd)
    else:
        data = json.dumps(tricks(changed(split, rnd), rnd)).encode()
    Path('split.json').write_bytes(data)
    found, line = outcome(lambda: read('split.json'))
    if line is None:
        names, lists, _ = found
        check(names, lists)
        said = json.loads(data.decode('utf-8-sig'))
        assert lists._asdict() == {k: [tuple(i) for i in said[k]] for k in lists._fields}


def tricks(split, rnd):
    """Another spelling of a path, a picture in two lists, a link."""
    try:
        item = list(rnd.choice(split['train']))
        name = posixpath.basename(item[0])
        item[0] = rnd.choice(
            [f'./{item[0]}', f'photos/../{item[0]}', item[0].replace('/', '//'), item[0].upper()]
            + [item[0], f'photos/bee/../ant/{name}', os.path.abspath(item[0])]
        )
        if rnd.random() < 0.3:
            split[rnd.choice(['val', 'test', 'train'])].append(item)
    except (TypeError, KeyError, IndexError, AttributeError):
        pass
    return split


@fuzz
def test_csv_files(photos, rnd):
    rows = [list(row) for row in photos['rows']]
    for _ in range(rnd.randrange(4)):
        row = rnd.choice(rows)
        kind = rnd.randrange(6)
        if kind < len(row[:3]):
            row[kind] = rnd.choice(
                [*TEXTS, 'ant', 'Ant', 'a nt', '0', '1', 'TEST', 'photos/ant/0.png']
            )
        elif kind == 3:
            rows.append(list(row))
        elif kind == 4:
            row.append('more')
        elif row:
            del row[-1]
    out = io.StringIO(newline='')
    head = rnd.choice(
        [[], [['path', 'label', 'split']], [['label', 'path', 'split']], [['x', 'y']]]
    )
    csv.writer(out).writerows([*head, *rows])
    data = out.getvalue().encode('utf-8', 'surrogatepass')
    if rnd.random() < 0.5:
        data = other_bytes(data, rnd)
    Path('list.csv').write_bytes(data)
    classes = rnd.choice([None, None, CLASSES])
    found, line = outcome(lambda: read('list.csv', classes=classes))
    if line is None:
        names, lists, _ = found
        check(names, lists)
        said = plainly(data)
        for part, some in lists._asdict().items():
            for item in some:
                number = str(item.label) if classes else item.name
                assert said[item.path] in ((item.name, part), (number, part), (item.name, ''))
        assert sum(map(len, lists)) == len(said)


def plainly(data):
    """Label and split by path."""
    lines = [line for line in csv.reader(io.StringIO(data.decode('utf-8-sig'), newline='')) if line]
    lines = [[value.strip() for value in line] for line in lines]
    head = [value.lower() for value in lines[0]]
    named = 'path' in head and head[0] == 'path' or {'path', 'label'} <= set(head)
    columns = head if named else ['path', 'label', 'split']
    rows = [dict(zip(columns, line)) for line in lines[1 if named else 0 :]]
    return {row['path']: (row['label'], row.get('split', '')) for row in rows}


def disturb(folder, rnd):
    """Do something to a folder of photos that people do, or that attackers do."""
    # but no pipe made before, at which the test itself would wait
    here = sorted(p for p in folder.rglob('*') if not p.is_dir() and not p.is_fifo())
    place, name = rnd.choice(here), rnd.choice([*TEXTS, 'x', 'x.png', 'x.JPG', '.x.png', 'x.heic'])
    name = name.replace('/', '_').replace('\0', '_')[:100] or 'x'
    target = place.parent / rnd.choice([name, f'{name}.png', os.fsdecode(b'\xff.png')])
    kind = rnd.randrange(12)
    if target.exists() or target.is_symlink():
        return
    try:
        name.encode()
    except UnicodeEncodeError:
        return
    if kind == 0:
        place.write_bytes(other_bytes(place.read_bytes(), rnd))
    elif kind == 1:
        shutil.copy(place, target)
    elif kind == 2:
        os.mkfifo(target)
    elif kind == 3:
        target.symlink_to(
            rnd.choice([place.absolute(), Path('nowhere'), folder.absolute(), target])
        )
    elif kind == 4:
        target.mkdir()
    elif kind == 5:
        target.write_bytes(rnd.choice([b'', b'x', b'%!PS-Adobe-3.0 EPSF-3.0\n']))
    elif kind == 6:
        place.unlink()
    elif kind == 7:
        place.parent.rename(place.parent.parent / name)
    elif kind == 8:
        os.link(place, target)
    elif kind == 9:
        (place.parent.parent / name).mkdir(exist_ok=True)
    elif kind == 10:
        shutil.rmtree(place.parent)
    else:
        place.rename(target)


@fuzz
def test_own_folders(photos, rnd):
    shutil.rmtree('own', ignore_errors=True)
    if rnd.random() < 0.5:
        shutil.copytree('photos', 'own')
    else:
        for path, name, part in photos['rows']:
            os.makedirs(f'own/{part}/{name}', exist_ok=True)
            shutil.copy(path, f'own/{part}/{name}')
    for _ in range(rnd.randrange(1, 4)):
        with suppress(OSError):  # of what was disturbed before
            disturb(Path('own'), rnd)
    found, line = outcome(lambda: read('own'))
    if line is not None:
        return
    names, lists, layout = found
    items = [item for part in lists for item in part]
    assert len(names) > 1 and all(names[item.label] == item.name for item in items)
    for item in items:
        path = os.path.join('own', item.path)
        assert os.path.lexists(path) and path.lower().endswith(SUFFIXES)
        assert posixpath.normpath(item.path) == item.path and '..' not in item.path.split('/')
        pixels, line = outcome(lambda: read_image(path))
        bad = outcome(lambda: look_at(path, deep=True))[0].bad
        assert bool(bad) == (line is not None) and (bad or pixels.dtype == np.uint8)
    folder = os.path.join(layout.images, '')
    digests = {}
    for part, some in lists._asdict().items():
        for item in some:
            if os.path.isfile(folder + item.path) and os.path.getsize(folder + item.path):
                digest = hashlib.sha256(Path(folder + item.path).read_bytes()).digest()
                assert digests.setdefault(digest, part) == part

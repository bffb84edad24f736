"""What this package keeps for itself and reads again, after somebody changed it.

Feature caches and indexes: the result is that of a first run, whatever became of the file. Results
of runs: the same figures, or the file is named; a figure that somebody sealed anew is a finite
percentage, and the one in the file. Exports are read by other programs, so what counts is that they
say of the model what it says of itself, and replace nothing but an export.
"""

import hashlib
import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.checkpoints import TINY
from helpers.fuzz import Quiet, fuzz, outcome
from helpers.grid import write_run
from helpers.mutate import TEXTS, changed, other_bytes
from mmpretrain.registry import MODELS
from PIL import Image

from mmdpt.datasets.index import SUFFIXES, list_images
from mmdpt.evaluation.frozen_features import frozen_features
from mmdpt.export.about import as_strings, describe
from mmdpt.results import all_tables, collect, find_runs
from mmdpt.results.render import as_json, latex, markdown
from mmdpt.utils.outputs import KINDS, Output, check_outputs
from mmdpt.utils.seal import sealed

CLASSES = ['ant', 'bee', 'cat']


class Pictures:
    """A set without random transforms."""

    pipeline = 'none'
    images: dict = {}

    def __len__(self):
        return 4

    def get_data_info(self, index):
        return dict(img_path=f'photos/ant/{index}.png')

    def __getitem__(self, index):
        pixels = np.asarray(Image.open(self.get_data_info(index)['img_path']))
        return dict(inputs=torch.from_numpy(pixels.transpose(2, 0, 1).copy()))


@pytest.fixture(scope='module')
def kept(tmp_path_factory):
    """A folder with photos, an index, a feature cache and a run; what each gives."""
    folder, before = tmp_path_factory.mktemp('kept'), os.getcwd()
    former = os.environ.get('XDG_CACHE_HOME')
    os.environ['XDG_CACHE_HOME'] = str(folder / 'listed' / 'fallback')
    os.chdir(folder)
    try:
        noise = np.random.default_rng(0)
        for name in CLASSES:
            os.makedirs(f'photos/{name}')
            for number in range(4):
                pixels = noise.integers(0, 255, (32, 32, 3), np.uint8)
                Image.fromarray(pixels).save(f'photos/{name}/{number}.png')
        model = MODELS.build(dict(TINY, classes=CLASSES)).eval()
        run = write_run('runs', baselines=dict(linear_probe=61.0))
        yield Quiet(
            model=model,
            features=frozen_features(model, Pictures(), cache_dir='cache'),
            listing=list_images('photos', CLASSES, 'listed/index'),
            rows=[row.accuracy for row in find_runs(['runs'])],
            run=run / 'results.json',
            results=json.loads((run / 'results.json').read_text()),
        )
    finally:
        os.chdir(before)
        os.environ.pop('XDG_CACHE_HOME')
        if former:
            os.environ['XDG_CACHE_HOME'] = former


@fuzz
def test_feature_caches(kept, rnd):
    (path,) = Path('cache').iterdir()
    path.write_bytes(other_bytes(path.read_bytes(), rnd))
    read, line = outcome(
        lambda: frozen_features(kept['model'], Pictures(), cache_dir='cache'), writes='cache'
    )
    assert line is None and torch.equal(read, kept['features'])
    again = frozen_features(kept['model'], Pictures(), cache_dir='cache')
    assert torch.equal(again, kept['features'])


@fuzz
def test_indexes(kept, rnd):
    path, sealed_anew = Path('listed/index'), rnd.random() < 0.5
    whole = path.read_bytes()
    if sealed_anew:
        _, _, body = whole.partition(b'\n')
        if rnd.random() < 0.5:
            body = json.dumps(changed(json.loads(body), rnd)).encode()
        else:
            body = other_bytes(body, rnd)
        path.write_bytes(hashlib.sha256(body).hexdigest().encode() + b'\n' + body)
    else:
        path.write_bytes(other_bytes(whole, rnd))
    try:
        found, line = outcome(
            lambda: list_images('photos', CLASSES, 'listed/index'), writes='listed'
        )
        assert line is None and list(found) == CLASSES
        names = [name for some in found.values() for name in some]
        assert all(name.lower().endswith(SUFFIXES) and '/' not in name for name in names)
        assert sealed_anew or found == kept['listing']
    finally:
        path.write_bytes(whole)


@fuzz
def test_results_of_runs(kept, rnd):
    path, results, kind = kept['run'], kept['results'], rnd.randrange(4)
    if kind == 0:
        data = other_bytes(json.dumps(results).encode(), rnd)
    else:
        results = changed(results, rnd)
        if kind == 1 and isinstance(results, dict):
            results = dict(results, protocol=rnd.choice(TEXTS), accuracy=dict(new=rnd.random()))
        if kind > 1 and isinstance(results, dict):
            results = sealed_or_not(results)
        data = json.dumps(results).encode()
    path.write_bytes(data)

    def tables():
        rows = find_runs(['runs'])
        kept_rows, warnings = collect(rows)
        made, more = all_tables(kept_rows)
        texts = [f(made, kept_rows, warnings + more) for f in (markdown, latex)]
        json.dumps(as_json(made, kept_rows, warnings), allow_nan=False)
        return rows, texts

    (rows, texts), line = outcome(tables)
    assert line is None
    for text in texts:
        text.encode()
        assert all(part.isprintable() for part in text.splitlines())
        assert 'nan' not in text.lower().replace('finance', '') or kind > 1
    for row in rows:
        good = row.status == 'ok' and math.isfinite(row.accuracy) and 0 <= row.accuracy <= 100
        named = row.status in ('damaged', 'unfinished') and row.accuracy is None
        assert good or named, row
    accuracies = [row.accuracy for row in rows if row.status == 'ok']
    if kind < 2:
        assert accuracies in ([], kept['rows'])
    elif accuracies:
        text = json.dumps(results)
        assert all(json.dumps(value) in text for value in accuracies)


def sealed_or_not(results):
    """With a right checksum, if JSON can hold it."""
    try:
        return sealed({k: v for k, v in results.items() if k != 'checksum'})
    except (ValueError, RecursionError):
        return results


@fuzz
def test_what_exports_say(kept, rnd):
    names = [rnd.choice(TEXTS) + rnd.choice(['', 'a', 'é', '"', '\\', "'"]) for _ in range(3)]
    model = kept['model']
    former, model.classes = model.classes, names
    try:
        about = describe(model, [dict(type='LoadPILImage')], checkpoint=rnd.choice(TEXTS))
        texts = as_strings(about)
        assert {key: json.loads(text) for key, text in texts.items()} == about
    finally:
        model.classes = former


@fuzz
def test_files_where_exports_go(kept, rnd):
    kind = rnd.choice(sorted(KINDS))
    beginnings = KINDS[kind].beginnings or (b'',)
    data = rnd.choice([b'', *beginnings, b'mine']) + rnd.choice([b'', b'\n', b'\xff mine'])
    ending = rnd.choice([*KINDS[kind].endings, '.txt', '.pth', '', '.PNG', '.\udce9'])
    path, overwrite = Path(f'mine{ending}'), rnd.random() < 0.5
    path.write_bytes(data)
    inputs = rnd.choice([[], [str(path)], ['photos']])
    try:
        _, line = outcome(
            lambda: check_outputs([Output('--out', str(path), kind)], inputs, overwrite)
        )
        assert path.read_bytes() == data
        of_kind = not data or (
            str(path).lower().endswith(KINDS[kind].endings)
            and data.strip().startswith(tuple(beginnings))
        )
        if line is None:  # what is there may go
            assert (not data or (overwrite and of_kind)) and str(path) not in inputs
    finally:
        path.unlink()

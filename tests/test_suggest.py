"""The photos to label next: uncertain, each unlike the others, and worth more than random ones."""

import base64
import csv
import io
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers.checkpoints import TINY, saved
from helpers.tools import refused, tool
from mmpretrain.registry import DATASETS, MODELS
from PIL import Image

from mmdpt.apis import PromptInferencer
from mmdpt.apis.calibrate import write_calibrated
from mmdpt.apis.suggest import choose, suggest, uncertainty
from mmdpt.datasets.digits import digit_images
from mmdpt.evaluation import frozen_features
from mmdpt.evaluation.calibration import Calibration

DIGITS = 'zero,one,two,three,four,five,six,seven,eight,nine'
TEST = [
    dict(type='ResizeEdge', scale=32, interpolation='bicubic', backend='pillow'),
    dict(type='PackInputs'),
]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def pool():
    """30 photos of digits, and copies of one of them."""
    Path('pool/more').mkdir(parents=True)
    for i, pixels in enumerate(digit_images()[900:930]):
        Image.fromarray(pixels).resize((40, 40), 0).save(f'pool/{i:02}.png')
    for i in range(10):
        Image.open('pool/07.png').save(f'pool/more/copy{i}.png')
    return Path('pool')


def test_uncertainty_is_one_minus_the_margin():
    probabilities = torch.tensor([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.2, 0.7, 0.1]])
    torch.testing.assert_close(uncertainty(probabilities), torch.tensor([1.0, 0.0, 0.5]))


def test_diversity_matters():
    """Of three groups, the most uncertain one alone would fill the list."""
    draw = torch.Generator().manual_seed(0)
    centres = F.normalize(torch.randn(3, 16, generator=draw), dim=1).repeat_interleave(30, 0)
    features = F.normalize(centres + 0.02 * torch.randn(90, 16, generator=draw), dim=1)
    uncertain = torch.cat([torch.full((30,), u) for u in (0.9, 0.8, 0.7)])
    uncertain += 0.01 * torch.rand(90, generator=draw)
    assert set((uncertain.topk(9).indices // 30).tolist()) == {0}
    chosen = choose(features, uncertain, 9)
    rows = [row for row, _ in chosen]
    assert len(set(rows)) == 9 and {row // 30 for row in rows} == {0, 1, 2}
    assert sum(size for _, size in chosen) == 90
    assert uncertain[rows].tolist() == sorted(uncertain[rows].tolist(), reverse=True)
    assert choose(features, uncertain, 9) == chosen  # the same again


def test_certain_photos_are_left_alone():
    """Those behind the ten times as many that are the most uncertain."""
    draw = torch.Generator().manual_seed(0)
    features = F.normalize(torch.randn(300, 16, generator=draw), dim=1)
    uncertain = torch.linspace(1, 0, 300)
    assert max(row for row, _ in choose(features, uncertain, 5)) < 50
    assert [row for row, _ in choose(features[:4], uncertain[:4], 5)] == [0, 1, 2, 3]


@pytest.mark.parametrize('method', ['coop', 'dpt', 'adapter'])
def test_copies_are_one_photo(method, pool):
    """Prompted text, prompted images, and a method of the feature space."""
    saved(method)
    inferencer = PromptInferencer('method.pth', device='cpu')
    paths = sorted(map(str, pool.rglob('*.png')))
    found = suggest(inferencer, paths, 40)
    assert found.copies == 10 and len(found.photos) == 30 and not found.unreadable
    results = {p: inferencer(p)[0]['pred_scores'] for p in [found.photos[0].path, paths[3]]}
    first = found.photos[0]
    scores = np.sort(results[first.path])
    np.testing.assert_allclose(first.probability, scores[-1], rtol=1e-5)
    np.testing.assert_allclose(first.second_probability, scores[-2], rtol=1e-5)
    few = suggest(inferencer, paths, 6).photos
    assert len({p.path for p in few}) == 6 and sum(p.stands_for for p in few) == 30


def test_it_asks_calibrated_probabilities(pool):
    saved('coop')
    found = Calibration(temperature=4.0, threshold=0.5, keep=0.9, images=9, source='made up')
    write_calibrated('method.pth', 'new.pth', found)
    inferencer = PromptInferencer('new.pth', device='cpu')
    (photo,) = suggest(inferencer, ['pool/03.png']).photos
    np.testing.assert_allclose(photo.probability, inferencer('pool/03.png')[0]['pred_score'], 1e-5)
    plain = suggest(PromptInferencer('method.pth', device='cpu'), ['pool/03.png']).photos[0]
    assert plain.probability > photo.probability + 0.01


def test_the_command(pool, capsys):
    saved('coop')
    Path('pool/torn.png').write_bytes(Path('pool/00.png').read_bytes()[:60])
    Path('pool/=1+1 <b>.png').write_bytes(Path('pool/07.png').read_bytes())
    outputs = ('--out', 'list.csv', '--html', 'sheet.html')
    tool('suggest', 'method.pth', 'pool', '-n', 35, *outputs)
    shown = capsys.readouterr()
    with open('list.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ['rank', 'path', 'class', 'probability', 'why']
    assert [row['rank'] for row in rows] == [str(i) for i in range(1, 31)]
    assert len({row['path'] for row in rows}) == 30
    assert all(row['path'] in shown.out and row['why'] in shown.out for row in rows)
    assert '11 photos look the same' in shown.err and 'torn.png' in shown.err
    assert '42 photos give 30 to choose' in shown.err
    page = Path('sheet.html').read_text()
    pictures = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)
    assert len(pictures) == 30 and 'http' not in page and '<b>.png' not in page
    assert Image.open(io.BytesIO(base64.b64decode(pictures[0]))).size == (40, 40)
    assert [re.sub('&.*?;', '', p) for p in re.findall('<small>(.*?)</small>', page)] == [
        re.sub("[<>']", '', row['path']) for row in rows
    ]
    before = page
    assert 'is there already' in refused(capsys, 'suggest', 'method.pth', 'pool', *outputs)
    assert Path('sheet.html').read_text() == before
    tool('suggest', 'method.pth', 'pool', '-n', 2, *outputs, '--overwrite')
    assert Path('list.csv').read_text().count('\n') == 3


def test_before_there_is_any_label(pool, capsys):
    model = ('--arch', 'mmdpt-tiny', '--pretrained', 'mmdpt-tiny')
    tool('suggest', 'zero-shot', 'pool', '-n', 5, '--classes', DIGITS, *model)
    assert len(capsys.readouterr().out.strip().splitlines()) == 5
    assert 'needs class names' in refused(capsys, 'suggest', 'zero-shot', 'pool', *model)


def test_mistakes(pool, capsys):
    saved('coop')
    assert '--count' in refused(capsys, 'suggest', 'method.pth', 'pool', '-n', 0)
    assert 'nowhere' in refused(capsys, 'suggest', 'method.pth', 'nowhere')
    line = refused(capsys, 'suggest', 'method.pth', 'pool', '--html', 'pool/03.png')
    assert 'pool/03.png' in line and Image.open('pool/03.png').size == (40, 40)
    Path('bad').mkdir()
    Path('bad/torn.png').write_bytes(Path('pool/00.png').read_bytes()[:60])
    assert 'none of the 1 photos' in refused(capsys, 'suggest', 'method.pth', 'bad')


def test_labels_of_suggested_photos_are_worth_more_than_random_ones():
    """A linear probe of the digits that starts from two photos per class, ten seeds."""
    from sklearn.linear_model import LogisticRegression

    model = MODELS.build(dict(TINY, classes=DIGITS.split(','))).eval()
    parts = {}
    for split in ('train', 'val', 'test'):
        images = DATASETS.build(dict(type='DigitsDataset', split=split, pipeline=TEST))
        features = F.normalize(frozen_features(model, images).float(), dim=1)
        parts[split] = features, torch.from_numpy(np.array(images.get_gt_labels()))
    features, labels = (torch.cat(part) for part in zip(parts['train'], parts['val']))
    test, truth = parts['test']

    def probe(rows):
        return LogisticRegression(C=100, max_iter=300).fit(features[rows], labels[rows])

    gains = []
    for seed in range(10):
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
        start = torch.cat([order[labels[order] == c][:2] for c in range(10)])
        rest = order[~torch.isin(order, start)]
        says = torch.from_numpy(probe(start).predict_proba(features[rest]))
        chosen = [row for row, _ in choose(features[rest], uncertainty(says), 20)]
        picked = (rest[chosen], rest[:20])
        suggested, random = (probe(torch.cat([start, more])).score(test, truth) for more in picked)
        gains.append(100 * (suggested - random))
    print(f'suggested beats random by {np.mean(gains):.2f} points, {gains}')
    assert np.mean(gains) > 1.0 and sum(gain > 0 for gain in gains) >= 6

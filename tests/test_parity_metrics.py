"""``metrics.json`` of other logits: every value as its definition says, and read from the file."""

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.twin_check import check
from helpers.twin_metrics import classification, harmonic, mcm, mean, ood

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / 'tests/data/golden/metrics.json'
pytestmark = [
    pytest.mark.filterwarnings('ignore:Bins whose width:UserWarning'),
    pytest.mark.filterwarnings('ignore:Feature 0 is constant:UserWarning'),
]


def logits_of(count, classes, scale, seed):
    """Multiples of 1/256, as the file has them."""
    values = np.random.default_rng(seed).normal(size=(count, classes)) * scale
    return (np.round(values * 256) / 256).tolist()


def labels_of(count, classes, seed, without=None):
    drawn = np.random.default_rng(seed).integers(0, classes, count).tolist()
    return [(y + 1) % classes if y == without else y for y in drawn]


def likely(logits, seed):
    """Labels drawn from the probabilities: some bins are too sure, others not enough."""
    noise = np.random.default_rng(seed).gumbel(size=np.shape(logits))
    return (np.array(logits) + noise).argmax(1).tolist()


def with_ties():
    """Confidences of exactly 1/2, an edge of ten bins, and each image twice."""
    rows = logits_of(18, 4, 2.0, 5)
    rows[:6] = [[x, x, -900.0, -900.0] for x in (0.0, 1.0, -2.0, 3.0, 0.5, 0.25)]
    return rows + rows


CLASSIFICATION = {
    # levels of the quantiles that are just below an image, or on it, as they are rounded
    'ten_of_ninety': (10, logits_of(90, 4, 1.0, 1), likely(logits_of(90, 4, 1.0, 1), 1)),
    'fifteen_of_75': (15, logits_of(75, 7, 1.5, 3), likely(logits_of(75, 7, 1.5, 3), 3)),
    'one_absent': (12, logits_of(70, 7, 4.0, 2), labels_of(70, 7, 2, without=2)),
    'ties_on_an_edge': (10, with_ties(), labels_of(36, 4, 4)),
    'saturated': (7, logits_of(40, 5, 300.0, 6), labels_of(40, 5, 6)),
    'saturated_and_underflown': (15, logits_of(30, 3, 2000.0, 7), labels_of(30, 3, 7)),
    'all_sure': (5, [[900.0, 0.0, -900.0]] * 9, [0, 0, 1, 0, 0, 2, 0, 0, 1]),
    'two_images': (20, logits_of(2, 3, 1.0, 8), [2, 2]),
    'all_wrong': (15, [[1.0, x / 256, -1.0] for x in range(20)], [2] * 20),
    'two_classes': (2, logits_of(25, 2, 3.0, 9), labels_of(25, 2, 9)),
}
OOD = {
    'cold': (0.05, 100.0, logits_of(23, 4, 9.0, 10), logits_of(31, 4, 8.0, 11)),
    'hot_with_ties': (2.0, 30.0, logits_of(9, 3, 1.0, 12) * 3, logits_of(9, 3, 1.0, 12)),
    'few': (1.0, 100.0, logits_of(7, 5, 20.0, 13), logits_of(2, 5, 20.0, 14)),
    'ten': (0.5, 45.0, logits_of(10, 5, 20.0, 15), logits_of(40, 5, 25.0, 16)),
    'sure': (0.01, 1.0, logits_of(30, 3, 9.0, 17), logits_of(12, 3, 9.0, 18)),
}


def content():
    """All parts of a file."""
    pairs, averages = [(64.5, 71.25), (0.0, 0.0), (3.0, 99.0)], ([55.0, 0.0], [61.5, 12.0])
    spread = []
    for name, (temperature, scale, *sides) in OOD.items():
        scores = [mcm(side, scale, temperature) for side in sides]
        keys = {
            f'{kind}_{s}': v
            for kind, pair in (('logits', sides), ('mcm', scores))
            for s, v in zip(('in', 'out'), pair)
        }
        settings = dict(name=name, temperature=temperature, logit_scale=scale)
        spread.append(dict(settings, **keys, values=ood(*scores)))
    return dict(
        meta=json.loads(GOLDEN.read_text())['meta'],
        classification=[
            dict(name=n, bins=b, logits=z, labels=y, values=classification(z, y, b))
            for n, (b, z, y) in CLASSIFICATION.items()
        ],
        ood=spread,
        harmonic_mean=[dict(base=b, new=n, harmonic_mean=harmonic(b, n)) for b, n in pairs],
        harmonic_mean_of_averages=dict(
            base=averages[0],
            new=averages[1],
            harmonic_of_average=harmonic(*map(mean, averages)),
            average_of_harmonics=mean([harmonic(*pair) for pair in zip(*averages)]),
        ),
    )


def checked(content, folder):
    (folder / 'case.json').write_text(json.dumps(content))
    return check(folder)['case']


def compared(case):
    return {k: t for k, t in case['tensors'].items() if 'passed' in t}


def test_twin_is_the_reference():
    golden = json.loads(GOLDEN.read_text())
    for case in golden['classification']:
        found = classification(case['logits'], case['labels'], case['bins'])
        assert found == {k: pytest.approx(v, rel=1e-12) for k, v in case['values'].items()}
    for case in golden['ood']:
        for side in ('in', 'out'):
            scores = mcm(case[f'logits_{side}'], case['logit_scale'], case['temperature'])
            assert scores == pytest.approx(case[f'mcm_{side}'], rel=1e-14)
        found = ood(case['mcm_in'], case['mcm_out'])
        assert found == {k: pytest.approx(v, rel=1e-12) for k, v in case['values'].items()}
    made = content()
    for part in ('classification', 'ood'):
        assert made[part][0].keys() == golden[part][0].keys()
    assert made['harmonic_mean_of_averages'].keys() == golden['harmonic_mean_of_averages'].keys()
    assert made.keys() == golden.keys()


def test_other_logits(tmp_path):
    made = content()
    case = checked(made, tmp_path)
    wrong = {k: t for k, t in case['tensors'].items() if not t.get('passed', True)}
    assert case['status'] == 'passed', wrong
    told = [k for part in ('classification', 'ood') for c in made[part] for k in c['values']]
    assert len(compared(case)) == len(told) + 2 * len(OOD) + 3 + 2


def test_each_value_counts(tmp_path):
    """Every one that is another fails, be it a number, a list or infinite."""
    made = content()
    lists = [c for part in ('classification', 'ood') for c in made[part]]
    for case in lists:
        case['values'] = {k: moved(v) for k, v in case['values'].items()}
        case.update({k: moved(v) for k, v in case.items() if k.startswith('mcm_')})
    for case in (*made['harmonic_mean'], made['harmonic_mean_of_averages']):
        case.update({k: moved(v) for k, v in case.items() if k not in ('base', 'new')})
    case = checked(made, tmp_path)
    assert [k for k, t in compared(case).items() if t['passed']] == []


def moved(value):
    if isinstance(value, list):
        return [x + 1e-8 * (max(value) or 1) for x in value]
    return value * (1 + 1e-8) + 1e-9 * (value == 0) if np.isfinite(value) else 1e9


def test_of_almost_nothing_rounding_counts_not_its_share(tmp_path):
    rows, labels, bins = [[31.0 + x / 256, 0.0, -3.0] for x in range(20)], [0] * 20, 15
    values = classification(rows, labels, bins)
    part = dict(bins=bins, logits=rows, labels=labels)
    for shift, status in ((0.0, 'passed'), (4e-16, 'passed'), (1e-13, 'failed')):
        moved = {k: np.add(v, shift).tolist() for k, v in values.items() if np.max(v) < 1}
        assert 'ece' in moved and 'nll' in moved
        case = checked(dict(classification=[dict(part, values=moved)]), tmp_path)
        assert case['status'] == status, shift

"""Draws and class subsets against the public ones, and the tool."""

import hashlib
import json
import random
from pathlib import Path

import pytest
from helpers.tools import tool

from mmdpt.datasets import draw_hash, sample_few_shot, select_classes

ROOT = Path(__file__).parents[1]
GOLDEN = json.loads((ROOT / 'tests/data/golden/fewshot_sampling.json').read_text())


def plain(lists):
    return [[list(item) for item in items] for items in lists]


@pytest.mark.parametrize(
    'case', GOLDEN['fewshot'], ids=lambda c: f'{c["split"]}-{c["shots"]}-{c["seed"]}'
)
def test_draws_equal_the_public_ones(case):
    split = GOLDEN['splits'][case['split']]
    drawn = sample_few_shot(split['train'], split['val'], case['shots'], case['seed'])
    assert plain(drawn) == [case['train'], case['val']]


@pytest.mark.parametrize('case', GOLDEN['subsample'])
def test_class_subsets_equal_the_public_ones(case):
    split = GOLDEN['splits'][case['split']]
    lists = select_classes([split[k] for k in ('train', 'val', 'test')], case['subsample'])
    assert plain(lists) == [case[k] for k in ('train', 'val', 'test')]


@pytest.mark.parametrize('case', GOLDEN['fewshot_then_subsample'])
def test_draw_then_class_subset(case):
    split = GOLDEN['splits'][case['split']]
    train, val = sample_few_shot(split['train'], split['val'], case['shots'], case['seed'])
    lists = select_classes([train, val, split['test']], case['subsample'])
    assert plain(lists) == [case[k] for k in ('train', 'val', 'test')]


def test_draw_leaves_the_global_generator_alone():
    split = GOLDEN['splits']['even6']
    random.seed(7)
    before = random.getstate()
    sample_few_shot(split['train'], split['val'], 4, 1)
    assert random.getstate() == before


def test_hash_depends_on_order_and_is_fixed():
    items = [['a.jpg', 0, 'ant'], ['b.jpg', 1, 'bée']]
    assert draw_hash(items, []) != draw_hash(items[::-1], [])
    assert draw_hash(items, []) == draw_hash([tuple(i) for i in items], [])
    # of the documented text, so that others can compute it
    text = '{"train":[["a.jpg",0,"ant"],["b.jpg",1,"bée"]],"val":[]}'
    expected = hashlib.sha256(text.encode('utf-8')).hexdigest()
    assert draw_hash(items, []) == expected


@pytest.mark.parametrize(
    'shots, seed, error, words',
    [
        (0, 1, ValueError, 'shots must be at least 1, got 0'),
        (-4, 1, ValueError, 'shots must be at least 1, got -4'),
        (1.5, 1, TypeError, r'shots must be a whole number, got 1.5 \(float\)'),
        ('16', 1, TypeError, r"shots must be a whole number, got '16' \(str\)"),
        (True, 1, TypeError, 'shots must be a whole number'),
        (1, -1, ValueError, 'seed must be at least 0'),
        (1, None, TypeError, 'seed must be a whole number'),
    ],
)
def test_wrong_shots_and_seeds(shots, seed, error, words):
    with pytest.raises(error, match=words):
        sample_few_shot([], [], shots, seed)


def test_wrong_subset():
    with pytest.raises(ValueError, match="subset must be one of .* 'old'"):
        select_classes([[], []], 'old')


def test_tool_prints_the_draw(tmp_path, capsys):
    case = next(c for c in GOLDEN['fewshot_then_subsample'] if c['subsample'] == 'new')
    split = tmp_path / 'split.json'
    split.write_text(json.dumps(GOLDEN['splits'][case['split']]))
    tool(
        'few_shot',
        split,
        '--shots',
        case['shots'],
        '--seed',
        case['seed'],
        '--classes',
        'new',
        '--json',
        tmp_path / 'out.json',
    )
    result = json.loads((tmp_path / 'out.json').read_text())
    assert result['train'] == case['train']
    assert result['hash'] == draw_hash(result['train'], result['val'])
    lines = [line.split('\t') for line in capsys.readouterr().out.splitlines()]
    assert [[p, int(n), c] for k, p, n, c in lines[:-1] if k == 'train'] == case['train']
    assert lines[-1] == ['hash', result['hash']]


def test_tool_refuses(tmp_path):
    with pytest.raises(SystemExit, match=r'^error: .*no\.json'):
        tool('few_shot', tmp_path / 'no.json', '--shots', 1, '--seed', 1)


def few_shot_parity(folder):
    from parity import check_folder

    return check_folder(folder, None, ['fewshot_sampling'])['fewshot_sampling']


def test_parity_case_compares_every_list():
    result = few_shot_parity(ROOT / 'tests/data/golden')
    assert result['status'] == 'passed' and result['max_abs_error'] == 0
    content = json.loads((ROOT / 'tests/data/golden/fewshot_sampling.json').read_text())
    lists = len(content['fewshot']) * 2 + 5 * (
        len(content['subsample']) + len(content['fewshot_then_subsample'])
    )
    assert len(result['tensors']) == lists == 130


@pytest.mark.parametrize(
    'change, words',
    [
        (lambda c: c['fewshot'][3]['train'].reverse(), 'place 0 is'),
        (lambda c: c['fewshot'][3]['val'].pop(), 'instead of'),
        (lambda c: c['subsample'][1].update(num_classes=9), '4 instead of 9'),
        (lambda c: c['subsample'][1].update(more=9), 'None instead of 9'),
    ],
)
def test_parity_case_sees_a_difference(tmp_path, change, words):
    content = json.loads((ROOT / 'tests/data/golden/fewshot_sampling.json').read_text())
    change(content)
    (tmp_path / 'fewshot_sampling.json').write_text(json.dumps(content))
    result = few_shot_parity(tmp_path)
    wrong = [t for t in result['tensors'].values() if not t['passed']]
    assert result['status'] == 'failed' and len(wrong) == 1
    assert words in wrong[0]['reason']

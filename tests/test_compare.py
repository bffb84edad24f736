"""Runs side by side."""

import json

import pytest
import torch
from helpers.run_folders import CLASSES, answers, write_photos, write_run
from helpers.tools import refused, tool

from mmdpt.evaluation.predictions import Predictions
from mmdpt.report import compare, comparison_html, comparison_markdown, read_run


@pytest.fixture
def photos(tmp_path):
    return tmp_path / 'photos', write_photos(tmp_path / 'photos')


@pytest.fixture
def pair(tmp_path, photos):
    return [
        write_run(tmp_path / 'a', *photos, wrong=(0, 1, 2), method='A'),
        write_run(tmp_path / 'b', *photos, wrong=(2, 5), method='B'),
    ]


def compared(*folders):
    return compare([read_run(str(folder)) for folder in folders])


def replace_predictions(folder, **changes):
    """Write other predictions, as a training would have."""
    old = Predictions.read(str(folder / 'predictions.npz'))
    said = dict(logits=old.logits, labels=old.labels, images=old.images, classes=old.classes)
    (folder / 'results.json').write_text(
        json.dumps(_sealed(json.loads((folder / 'results.json').read_text())))
    )
    (folder / 'zero_shot.npz').unlink()
    Predictions(**{**said, **changes}).write(str(folder / 'predictions.npz'))


def _sealed(results):
    from mmdpt.utils.seal import sealed

    return sealed(dict({k: v for k, v in results.items() if k != 'checksum'}, files={}))


def test_on_the_same_photos(pair):
    found, pictures = compared(*pair)
    assert [(run.name, run.accuracy.percent) for run in found.runs] == [
        ('A', 75.0),
        ('B', pytest.approx(1000 / 12)),
    ]
    (gap,) = found.differences
    assert (gap.of, gap.to, gap.images) == ('B', 'A', 12)
    assert gap.points == pytest.approx(100 / 12) and (gap.only_of, gap.only_to) == (2, 1)
    # photo 2 is wrong in both, with one answer
    assert found.disagreeing == 3
    assert {p.image for p in found.disagreements} == {
        'test/cup/0.png',
        'test/cup/1.png',
        'test/fork/1.png',
    }
    first = found.disagreements[0]
    assert [a.name for a in first.answers].count(first.truth) == 1
    assert set(pictures) == {p.image for p in found.disagreements}
    assert found.images == 'All runs were tested on the same 12 photos.'


def test_settings_that_differ(pair):
    config = pair[1] / 'coop_tiny_own.py'
    text = config.read_text().replace('num_tokens=4', 'num_tokens=8')
    config.write_text(text + '\nwork_dir = "elsewhere"\noptim_wrapper = dict(lr=0.1)')
    found, _ = compared(*pair)
    assert {s.name: s.values for s in found.settings} == {
        'model.text_prompt.num_tokens': ['4', '8'],
        'optim_wrapper.lr': ['–', '0.1'],
    }
    config.write_text(text + f'\nx = dict({", ".join(f"y{i}={i}" for i in range(80))})')
    found, _ = compared(*pair)
    assert (len(found.settings), found.settings_left_out) == (60, 21)


def test_photos_in_another_order_and_classes_in_another(pair):
    """The same answers, written otherwise, give the same comparison."""
    before, _ = compared(*pair)
    old = Predictions.read(str(pair[1] / 'predictions.npz'))
    rows, columns = torch.arange(11, -1, -1), torch.tensor([2, 0, 1])  # new column: old one
    replace_predictions(
        pair[1],
        logits=old.logits[rows][:, columns],
        labels=torch.tensor([1, 2, 0])[old.labels[rows]],
        images=old.images[::-1],
        classes=[old.classes[i] for i in columns],
    )
    after, _ = compared(*pair)
    assert after.differences == before.differences
    assert after.disagreements == before.disagreements
    assert after.runs[1].accuracy == before.runs[1].accuracy


def test_on_photos_that_both_have(pair):
    old = Predictions.read(str(pair[1] / 'predictions.npz'))
    keys = [*old.images[:9], 'x.png', 'y.png', 'z.png']
    replace_predictions(pair[1], images=keys)
    found, _ = compared(*pair)
    assert found.differences[0].images == 9 and 'the 9 photos' in found.images
    assert found.runs[1].accuracy.images == 12
    replace_predictions_again = [f'{i}.png' for i in range(12)]
    Predictions(old.logits, old.labels, replace_predictions_again, old.classes).write(
        str(pair[1] / 'predictions.npz')
    )
    found, _ = compared(*pair)
    assert found.differences == [] and 'different photos' in found.images
    Predictions(old.logits, old.labels, old.images, ['a', 'b', 'c']).write(
        str(pair[1] / 'predictions.npz')
    )
    found, _ = compared(*pair)
    assert found.differences == [] and 'different classes' in found.images
    Predictions(old.logits, old.labels.flip(0), old.images, old.classes).write(
        str(pair[1] / 'predictions.npz')
    )
    assert 'different labels' in compared(*pair)[0].images


def test_three_runs_are_adjusted(tmp_path, photos, pair):
    third = write_run(tmp_path / 'c', *photos, wrong=(0, 1, 2, 3, 4, 5, 6, 7), method='C')
    alone = [compared(pair[0], other)[0].differences[0].p for other in (pair[1], third)]
    found, _ = compared(*pair, third)
    least, most = sorted(alone)
    both = sorted(d.p for d in found.differences)
    assert both == pytest.approx([min(1, 2 * least), max(min(1, 2 * least), most)])
    assert [d.to for d in found.differences] == ['A', 'A']


def test_too_few_runs(pair, capsys):
    for folders in (pair[:1], [pair[0], pair[0]]):
        assert 'from 2 to 10 different folders' in refused(capsys, 'compare', *folders)


def test_the_command(pair, tmp_path, capsys):
    page, figures = tmp_path / 'c.html', tmp_path / 'c.json'
    tool('compare', *pair, '--html', page, '--json', figures)
    said = capsys.readouterr().out
    assert '| B against A | +8.3 |' in said and 'They disagree on 3 photos.' in said
    assert page.read_text().startswith('<!doctype html>')
    assert page.read_text().count('<img ') == 3
    assert json.loads(figures.read_text())['disagreeing'] == 3
    assert 'is there already' in refused(capsys, 'compare', *pair, '--html', page)
    tool('compare', *pair, '--html', page, '--overwrite')
    lost = pair[0] / 'predictions.npz'
    assert 'read by this command' in refused(capsys, 'compare', *pair, '--html', lost)


def test_names_are_text(tmp_path, photos):
    runs = [
        write_run(tmp_path / name, *photos, wrong=(i,), method=f'{i}<script>|{{{{ 7*7 }}}}')
        for i, name in enumerate('ab')
    ]
    found, pictures = compared(*runs)
    html, markdown = comparison_html(found, pictures), comparison_markdown(found)
    assert '<script' not in html and '0&lt;script&gt;|{{ 7*7 }}' in html
    assert '0\\<script\\>\\|{{ 7\\*7 }}' in markdown
    assert answers(torch.tensor([0]), []).argmax() == 0 and CLASSES[0] in html

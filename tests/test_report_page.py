"""The page about a run: its figures, its bounds, and what hostile names do to it."""

import json
import re
from html.parser import HTMLParser

import pytest
import torch
from helpers.run_folders import CLASSES, answers, write_photos, write_run
from helpers.short_runs import short_config, train
from helpers.tools import refused, tool
from PIL import Image

from mmdpt.datasets.shared import OWN
from mmdpt.engine import read_checkpoint
from mmdpt.engine.entry import write_calibration
from mmdpt.evaluation.calibration import Calibration
from mmdpt.evaluation.calibration_error import ece
from mmdpt.evaluation.intervals import wilson
from mmdpt.evaluation.predictions import Predictions
from mmdpt.report import Report, build, read_run, write_report
from mmdpt.report.data import Own, open_photos, training_counts
from mmdpt.report.trust import calibration
from mmdpt.utils.text import visible

HOSTILE = (
    '<script>alert(1)',
    '" onload="x',
    "'; {{ 7*7 }} {% raw %}",
    '|a|*b*`c`<!--',
    '$\\frac{1}$ &lt; ]]>',
    'abc\u202edef',
)
VOID = {'meta', 'img', 'br', 'hr', 'use', 'path', 'stop', 'link'}
ALLOWED = VOID | {
    *'html head title style body a header h1 h2 h3 p dl div dt dd small nav ul li main'.split(),
    *'footer table caption thead tbody tr th td figure figcaption b em span i pre'.split(),
    *'code details summary svg g defs text clippath rect tspan'.split(),
}


class Page(HTMLParser):
    """What a browser would find."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.open = [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def of(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture
def photos(tmp_path):
    return tmp_path / 'photos', write_photos(tmp_path / 'photos')


@pytest.fixture
def run(tmp_path, photos):
    return write_run(tmp_path / 'run', *photos)


def written(folder, **options):
    paths = write_report(str(folder), **options)
    texts = [open(path, encoding='utf-8').read() for path in paths]
    return texts[0], texts[1], Report.model_validate_json(texts[2])


def test_the_figures(run):
    html, markdown, found = written(run)
    model, zero, probe = found.accuracies
    low, high = wilson(11, 12)
    assert (model.percent, model.images) == (pytest.approx(1100 / 12), 12)
    assert (model.low, model.high) == pytest.approx((100 * low, 100 * high))
    assert (zero.percent, probe.percent, probe.name) == (75.0, 50.0, 'linear probe')
    (gap,) = found.differences
    assert gap.points == pytest.approx(200 / 12) and (gap.only_of, gap.only_to) == (2, 0)
    assert gap.low <= gap.points <= gap.high
    # photo 0, a cup, is taken for a fork
    assert [(c.recall, c.precision) for c in found.classes] == [(75, 100), (100, 80), (100, 100)]
    assert [c.zero_shot_recall for c in found.classes] == [25, 100, 100]
    assert [c.training_images for c in found.classes] == [2, 2, 2]
    assert found.matrix == [[3, 1, 0], [0, 4, 0], [0, 0, 4]]
    assert [(c.truth, c.answer, c.images) for c in found.confusions] == [('cup', 'fork', 1)]
    assert found.learning.classes == ['cup', 'fork']  # F1 6/7 and 8/9
    for text in (html, markdown):
        assert '91.7' in text and f'{100 * low:.1f} to {100 * high:.1f}' in text
    used = {fact.name: fact.value for fact in found.used_for}
    assert used['training'] == 'split: train' and used['calibration of the probabilities'] == 'none'


def test_the_photos(run):
    html, _, found = written(run)
    (wrong,) = found.wrong
    assert (wrong.image, wrong.truth, wrong.right) == ('test/cup/0.png', 'cup', False)
    assert wrong.answers[0].name == 'fork' and found.wrong_images == 1
    probabilities = answers(torch.tensor([0]), [0]).double().softmax(1)[0]
    assert wrong.answers[0].probability == pytest.approx(float(probabilities[1]))
    assert wrong.truth_probability == pytest.approx(float(probabilities[0]))
    # the least sure first, none twice; test/cup/1 has the smallest logit of those that are right
    assert found.unsure[0].image == 'test/cup/1.png'
    assert 'test/cup/0.png' not in [photo.image for photo in found.unsure]
    assert len(Page(html).of('img')) == 12 and 'not shown' not in html


def test_what_cannot_be_opened_is_said(run, photos):
    root, _ = photos
    (root / 'test/cup/0.png').write_bytes(b'nothing')
    html, _, _ = written(run)
    assert html.count('not shown') == 1
    root.rename(root.with_name('gone'))
    html, _, found = written(run, overwrite=True)
    assert 'does not exist' in found.photos_reason and 'does not exist' in html
    assert Page(html).of('img') == []


def test_hostile_names_are_text(tmp_path):
    root = tmp_path / 'photos'
    keys = write_photos(root, HOSTILE, test=2)
    folder = write_run(
        tmp_path / '<b>run', root, keys, HOSTILE, wrong=(0, 3), benchmark='<i>Own {{ 7*7 }}'
    )
    html, markdown, found = written(folder)
    page = Page(html)
    assert {name.lower() for name, _ in page.tags} <= ALLOWED
    for _, attrs in page.tags:
        assert not [name for name in attrs if name.startswith('on')]
        for name in ('src', 'href', 'xlink:href'):
            assert attrs.get(name, '#').startswith(('data:image/', '#'))
    text = ''.join(page.texts)
    for name in HOSTILE:
        assert text.count(visible(name)) >= 4  # in both tables, the matrix twice
    assert '<i>Own {{ 7*7 }}' in text and '<b>run' in text
    assert '\u202e' not in html + markdown and 'url(http' not in html
    table = markdown[markdown.index('## Classes') :].split('\n\n')[1].splitlines()
    assert len(table) == 2 + len(HOSTILE)
    assert {len(re.findall(r'(?<!\\)\|', line)) for line in table} == {8}
    assert '<script>' not in markdown.replace('\\<script\\>', '')
    assert [c.name for c in found.classes] == list(HOSTILE)


def test_nothing_comes_from_elsewhere(run):
    html, _, _ = written(run)
    policy = [m for m in Page(html).of('meta') if m.get('http-equiv')]
    assert policy[0]['content'].startswith("default-src 'none'")
    addresses = set(re.findall(r'https?://[^"\s<>)]+', html))
    assert addresses <= {'http://www.w3.org/2000/svg', 'http://www.w3.org/1999/xlink'}


def test_it_can_be_read_out(run):
    page = Page(written(run)[0])
    assert page.of('html') == [{'lang': 'en'}] and len(page.of('h1')) == 1
    assert all(attrs.get('scope') in ('row', 'col') for attrs in page.of('th'))
    assert len(page.of('caption')) == len(page.of('table')) > 5
    assert all(attrs.get('alt') for attrs in page.of('img'))
    assert all(attrs.get('aria-label') for attrs in page.of('svg')) and page.of('svg')
    ids = [attrs['id'] for _, attrs in page.tags if 'id' in attrs]
    links = {attrs['href'][1:] for attrs in page.of('a')}
    assert links <= set(ids)
    assert [attrs['name'] for attrs in page.of('meta') if 'viewport' in attrs.values()]


def test_colours_are_the_page_s(run):
    html, _, _ = written(run)
    svg = ''.join(re.findall(r'<svg.*?</svg>', html, re.DOTALL))
    assert 'var(--accent)' in svg and 'currentColor' in svg
    assert not re.findall(r'(?:fill|stroke): #(?!ffffff)', svg)
    assert 'prefers-color-scheme: dark' in html


def test_large_photos_make_no_large_page(tmp_path):
    keys = write_photos(tmp_path / 'photos', test=12, size=400)
    run = write_run(tmp_path / 'run', tmp_path / 'photos', keys, wrong=tuple(range(30)))
    html, _, found = written(run)
    assert (len(found.wrong), len(found.unsure)) == (24, 12) and found.wrong_images == 30
    images = Page(html).of('img')
    assert len(images) == 36 and len(html) < 1_000_000


def test_many_classes(tmp_path):
    names = [f'class {i}' for i in range(150)]
    run = write_run(
        tmp_path / 'run', tmp_path, [f'{i}.png' for i in range(300)], names, wrong=tuple(range(99))
    )
    html, markdown, found = written(run)
    assert found.matrix is None and len(found.confusions) == 50 and 'too large' in html
    assert len(html) < 500_000 and 'class 149' in markdown


def test_a_config_is_not_run_and_names_no_other_files(run, tmp_path):
    secret = tmp_path / 'secret.png'
    Image.new('RGB', (9, 9)).save(secret)
    config = run / 'coop_tiny_own.py'
    evil = f'open({str(tmp_path / "ran")!r}, "w")\n'
    config.write_text(evil + config.read_text().replace("'FewShotDataset'", "'os.system'", 2))
    found = written(run)[2]
    assert not (tmp_path / 'ran').exists() and 'FewShotDataset' in found.photos_reason
    config.write_text(evil + config.read_text().replace("'os.system'", "'FewShotDataset'"))
    kept = Predictions.read(str(run / 'predictions.npz'))
    files, reason = open_photos(read_run(str(run)).config)
    assert not reason and files.read(kept.images[0]).shape == (20, 20, 3)
    for key in (str(secret), '../secret.png', 'train/cup/0.png'):
        with pytest.raises(FileNotFoundError, match='not among the test photos'):
            files.read(key)


def test_calibration():
    torch.manual_seed(0)
    logits, labels = 3 * torch.randn(400, 5), torch.randint(5, (400,))
    found = Predictions(logits, labels, [str(i) for i in range(400)], list('abcde'))
    one, two = calibration(found), calibration(found, 3.0, 'held-out photos')
    for said, temperature in ((one, 1.0), (two, 3.0)):
        confidence = found.probabilities(temperature).amax(1)
        assert said.ece == pytest.approx(ece(confidence, found.correct()))
        gaps = [b.images * abs(b.accuracy - b.confidence) for b in said.bins]
        assert said.ece == pytest.approx(sum(gaps) / 400)
        assert sum(b.images for b in said.bins) == 400
    assert two.ece_before == one.ece and one.ece_before is None


def test_what_is_missing_or_changed(run, tmp_path):
    with pytest.raises(NotADirectoryError, match='is no folder'):
        read_run(str(tmp_path / 'x'))
    (run / 'predictions.npz').rename(tmp_path / 'kept.npz')
    wanted = r'tools/test\.py \S+coop_tiny_own\.py CHECKPOINT --work-dir \S+run/test'
    with pytest.raises(FileNotFoundError, match=wanted):
        write_report(str(run))
    assert not (run / 'report.html').exists()
    (run / 'test').mkdir()
    (run / 'test/test_predictions.npz').write_bytes((tmp_path / 'kept.npz').read_bytes())
    assert read_run(str(run)).predictions.images[0] == 'test/cup/0.png'
    (run / 'zero_shot.npz').rename(run / 'predictions.npz')
    with pytest.raises(ValueError, match='not the file that results.json names'):
        read_run(str(run))
    results = json.loads((run / 'results.json').read_text())
    (run / 'results.json').write_text(json.dumps(dict(results, seed=2)))
    with pytest.raises(ValueError, match='results.json cannot be used: it was edited'):
        read_run(str(run))
    (run / 'results.json').unlink()
    with pytest.raises(FileNotFoundError, match='no training has finished there'):
        read_run(str(run))


def test_no_file_is_lost(run):
    (run / 'report.html').write_text('<!DOCTYPE my own page')
    with pytest.raises(ValueError, match='of another kind'):
        write_report(str(run), overwrite=True)
    (run / 'report.html').unlink()
    write_report(str(run))
    with pytest.raises(FileExistsError, match='--overwrite'):
        write_report(str(run))
    before = (run / 'report.json').read_text()
    assert write_report(str(run), overwrite=True).json == str(run / 'report.json')
    keep = re.compile(r'"made": ".*?"')
    assert keep.sub('', (run / 'report.json').read_text()) == keep.sub('', before)


def test_without_zero_shot_predictions(tmp_path, photos):
    run = write_run(tmp_path / 'run', *photos, before=None)
    html, _, found = written(run)
    assert found.differences == [] and 'zero_shot.npz' in found.no_difference
    assert found.no_difference.replace("'", '&#39;') in html
    other = write_run(tmp_path / 'other', *photos, before=None, zero_shot=None)
    assert 'this model has none' in written(other)[2].no_difference


def test_a_model_that_is_zero_shot_clip(tmp_path, photos):
    run = write_run(tmp_path / 'run', *photos, wrong=(0, 1), before=(0, 1))
    html, _, found = written(run)
    assert [a.role for a in found.accuracies] == ['model', 'other'] and found.differences == []
    assert 'nothing was learnt' in found.no_difference and found.no_difference in html


def test_worse_than_zero_shot_is_a_warning(tmp_path, photos):
    run = write_run(tmp_path / 'run', *photos, wrong=tuple(range(8)), before=())
    html, markdown, found = written(run)
    (warning,) = found.warnings
    assert 'does not clearly beat zero-shot CLIP' in warning
    assert 'class="warning"' in html and '**Warning:**' in markdown
    assert 'It is worse than zero-shot CLIP by 66.7 points' in found.summary[1]


def test_results_of_another_test_are_a_warning(tmp_path, photos):
    run = write_run(tmp_path / 'run', *photos, few_shot={'accuracy/top1': 60.0}, files={})
    assert 'results.json says 60.00 %' in written(run)[2].warnings[0]


def share(images, accuracy, low, high):
    return dict(images=images, accuracy=accuracy, low=low, high=high)


def fit_json(**changes):
    said = dict(
        command='mmdpt fit photos',
        data=dict(
            source='photos',
            classes=[dict(name=name, train=2, test=4) for name in CLASSES],
            held_out='drawn',
            folds=2,
            warnings=['two photos are <alike>'],
        ),
        clip=dict(arch='mmdpt-tiny'),
        templates=['a {}.'],
        seed=1,
        methods=[
            dict(name='gda', title='GDA', result=share(6, 60.0, 40.0, 80.0), seconds=2.0),
            dict(name='dpt', title='DPT', left_out='no time was left'),
        ],
        chosen=dict(name='gda', title='GDA', why='It was best.'),
        curve=dict(
            method='gda',
            title='GDA',
            points=[
                dict(share(6, 40.0, 20.0, 55.0), share=50.0, train_images=3),
                dict(share(6, 60.0, 40.0, 80.0), share=100.0, train_images=6),
            ],
        ),
        budget=dict(minutes=1.0, seconds=30.0),
        versions=dict(torch='2.x'),
    )
    return json.dumps({**said, **changes})


def test_a_fit(run, photos):
    (run / 'results.json').unlink()
    (run / 'fit.json').write_text(fit_json())
    html, markdown, found = written(run)
    assert found.title == 'GDA on photos' and found.summary[-1] == 'It was best.'
    assert [a.note for a in found.accuracies[2:]] == ['chosen', 'no time was left']
    assert {a.measured_on for a in found.accuracies[2:]} == {'training photos, cross-validated'}
    assert found.learning.answer.startswith('Yes, probably. From 3 to 6 training photos')
    assert 'Hollow: cross-validated' in html and 'two photos are &lt;alike&gt;' in html
    assert [p.images for p in found.learning.points] == [3, 6]
    assert found.commands[0] == 'mmdpt fit photos' and '    mmdpt fit photos' in markdown
    assert len(Page(html).of('img')) == 12


def test_a_fit_without_held_out_photos(run, photos):
    root, _ = photos
    (run / 'results.json').unlink()
    keys = [f'train/{name}/{i}.png' for name in CLASSES for i in range(2)]
    truth = torch.arange(3).repeat_interleave(2)
    about = dict(data=dict(split='cross-validation'))
    for name, wrong in (('predictions', [0]), ('zero_shot', [0, 1])):
        kept = Predictions(answers(truth, wrong), truth, keys, list(CLASSES), about)
        kept.write(str(run / f'{name}.npz'))
    (run / 'fit.json').write_text(fit_json())
    (run / 'coop_tiny_own.py').write_text(f'dataset = dict(name="P", data_root={str(root)!r})')
    html, _, found = written(run)
    assert 'too few photos to hold some out' in found.warnings[0]
    assert found.accuracies[0].measured_on == 'training photos, cross-validated'
    assert len(Page(html).of('img')) == 6


def calibrate(checkpoint, temperature):
    kept = read_checkpoint(str(checkpoint))
    said = Calibration(
        temperature=temperature, threshold=0.3, keep=0.95, images=40, source='the val list'
    )
    write_calibration(kept['meta'], said)
    torch.save(kept, checkpoint)


def test_a_training(tmp_path, capsys):
    """From the training to the page, with attention."""
    cfg = short_config('dpt', tmp_path / 'run', default_hooks__report__enable=True)
    cfg.merge_from_dict({'default_hooks.report.baselines': []})
    train(cfg)
    tool('report', tmp_path / 'run', '--out', tmp_path / 'new')
    said = capsys.readouterr().out
    assert 'is right on ' in said and said.rstrip().endswith('report.json')
    found = Report.model_validate_json((tmp_path / 'new/report.json').read_text())
    results = json.loads((tmp_path / 'run/results.json').read_text())
    assert found.accuracies[0].percent == pytest.approx(results['few_shot']['accuracy/top1'])
    assert found.accuracies[1].percent == pytest.approx(results['zero_shot']['accuracy/top1'])
    assert found.warnings == [] or 'zero-shot' in found.warnings[0]
    assert len(found.attention.images) == 4 and not found.attention.reason
    page = Page((tmp_path / 'new/report.html').read_text())
    assert len(page.of('img')) == len(found.wrong) + len(found.unsure) + 4
    assert [c.training_images for c in found.classes] == [2] * 10
    checkpoint = tmp_path / 'run/epoch_2.pth'
    _, plain = build(read_run(str(tmp_path / 'run')))
    calibrate(checkpoint, temperature=2.0)
    again, tempered = build(read_run(str(tmp_path / 'run')))
    assert (again.calibration.temperature, again.calibration.source) == (2.0, 'the val list')
    assert again.calibration.ece_before == pytest.approx(found.calibration.ece)
    before, after = found.wrong[0].answers[0], again.wrong[0].answers[0]
    assert again.wrong[0].image == found.wrong[0].image and after.name == before.name
    assert after.probability < before.probability
    drawn = f'attention {found.wrong[0].image}'  # with these probabilities, too
    assert plain[drawn] != tempered[drawn]
    checkpoint.unlink()
    content, _ = build(read_run(str(tmp_path / 'run')))
    assert content.attention.reason == 'the checkpoint is no longer in the folder'


def test_attention_that_cannot_be_drawn(tmp_path, photos):
    run = write_run(tmp_path / 'run', *photos, checkpoint=dict(path='/elsewhere/epoch_1.pth'))
    (run / 'epoch_1.pth').write_bytes(b'PK nothing')
    html, _, found = written(run)
    assert 'epoch_1.pth' in found.attention.reason and 'Not drawn: ' in html


def test_mistakes_on_the_command_line(run, capsys):
    assert 'give the work directory' in refused(capsys, 'report', run / 'x')
    assert 'mmdpt_' not in refused(capsys, 'report', run / 'results.json')


def test_own_photos_with_all_that_a_config_says_of_them(tmp_path):
    """The report has a schema of its own, as it runs no config: it must know every option."""
    assert set(Own.model_fields) == {'name', *OWN}
    root = tmp_path / 'photos'
    write_photos(root, test=5)
    own = dict(name='Own', draw_val=False, rename=dict(cup='a cup'), classes=None, templates=None)
    inner = dict(type='FewShotDataset', benchmark=own, data_root=str(root / 'test'))
    train = dict(inner, split='train', shots=3, protocol=dict(imbalance=3.0))
    config = dict(train_dataloader=dict(dataset=train))
    counts = training_counts(config)
    assert list(counts)[0] == 'a cup' and list(counts.values()) == [3, 1, 1]
    inner['data_root'] = str(root)
    test = dict(inner, split='test', protocol=dict(corruption='fog', severity=3))
    files, reason = open_photos(dict(test_dataloader=dict(dataset=test)))
    assert not reason and files.read('test/cup/4.png').shape == (20, 20, 3)

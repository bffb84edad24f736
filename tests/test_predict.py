"""tools/predict.py and PromptInferencer: photos in, names and probabilities out."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.checkpoints import METHODS, NAMES, PIPELINE, TINY, saved
from helpers.tools import ROOT, refused, tool
from helpers.trees import write_photos
from mmengine.config import Config
from mmpretrain import ImageClassificationInferencer
from mmpretrain.registry import MODELS
from PIL import Image

from mmdpt.apis import PromptInferencer, find_images
from mmdpt.datasets import Benchmark
from mmdpt.engine import read_checkpoint
from mmdpt.engine.recipe import check_recipe, make_recipe

CUSTOM = Path(ROOT, 'configs/dpt/dpt_tiny_custom.py')


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A checkpoint of one epoch, whose training data are gone."""
    root = tmp_path_factory.mktemp('trained')
    write_photos(root / 'photos', NAMES, 4)
    tool(
        'train',
        CUSTOM,
        '--work-dir',
        root,
        '--cfg-options',
        f'dataset.data_root={root}/photos',
        'dataset.templates=the_digit_{}.',
        'train_cfg.max_epochs=1',
        'default_hooks.report.enable=False',
    )
    os.rename(root / 'photos', root / 'gone')
    return root / 'epoch_1.pth'


@pytest.fixture(scope='module')
def inferencer(trained):
    return PromptInferencer(trained, device='cpu')


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Five images in a tree, one of them torn, and other files."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in ('a.png', 'sub/b.jpg', 'sub/c.PNG', 'd.webp'):
        path = Path('mine', name)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40, 50, 3), np.uint8)).save(path)
    Path('mine/sub/torn.jpg').write_bytes(Path('mine/sub/b.jpg').read_bytes()[:300])
    Path('mine/notes.txt').write_text('no image')
    Path('mine/.hidden.jpg').write_text('no image')
    return Path('mine')


def test_folder(trained, folder, capsys):
    tool(
        'predict',
        trained,
        folder,
        '--batch-size',
        2,
        '--top-k',
        2,
        '--json',
        'all.json',
        '--csv',
        'all.csv',
    )
    shown = capsys.readouterr()
    rows = json.load(open('all.json'))
    assert [r['image'] for r in rows] == [
        f'mine/{n}' for n in ('a.png', 'd.webp', 'sub/b.jpg', 'sub/c.PNG', 'sub/torn.jpg')
    ]
    assert 'torn.jpg' in rows[4]['error'] and 'classes' not in rows[4]
    assert '1 of 5 images could not be read' in shown.err and 'sub/torn.jpg' in shown.err
    with open('all.csv') as file:
        table = list(csv.DictReader(file))
    for row, cells, line in zip(rows[:4], table, shown.out.splitlines()):
        first, second = row['classes']
        assert first['probability'] >= second['probability']
        assert [cells['class'], cells['class_2']] == [first['name'], second['name']]
        assert float(cells['probability']) == pytest.approx(first['probability'], abs=1e-6)
        assert line.split() == [
            row['image'],
            first['name'],
            f'{first["probability"]:.1%}',
            second['name'],
            f'{second["probability"]:.1%}',
        ]
    assert 'torn.jpg' in table[4]['error'] and table[4]['class'] == ''


def test_a_file_name_that_is_no_utf8(trained, folder, capfd):
    """Nothing after it is lost, in a run of its own, whose screen is UTF-8."""
    odd = os.fsdecode(b'b\xe9.png')
    os.rename('mine/d.webp', f'mine/{odd}')
    tool('predict', trained, folder, '--json', 'all.json', '--csv', 'all.csv')
    assert r'mine/b\udce9.png' in capfd.readouterr().out
    rows = json.loads(Path('all.json').read_bytes())
    assert len(rows) == 5 and rows[1]['image'] == f'mine/{odd}'
    with open('all.csv', encoding='utf-8') as file:
        table = list(csv.DictReader(file))
    assert [row['image'] for row in table][1:] == [
        r'mine/b\udce9.png',
        'mine/sub/b.jpg',
        'mine/sub/c.PNG',
        'mine/sub/torn.jpg',
    ]
    assert all(row['class'] for row in table[:4])
    assert 'is there already' in refused(capfd, 'predict', trained, folder, '--json', 'all.json')
    for name in (str(trained), 'mine/a.png', 'all.csv'):
        before = Path(name).read_bytes()
        arguments = (trained, folder, '--json', name, '--overwrite')
        assert refused(capfd, 'predict', *arguments).startswith(f'error: --json {name}')
        assert Path(name).read_bytes() == before


def test_same_as_mmpretrain(trained, folder, inferencer):
    """The config file and MMPretrain's own inferencer give the same scores."""
    cfg = Config.fromfile(trained.with_name(CUSTOM.name))
    cfg.model.classes = NAMES
    cfg.model.templates = 'the digit {}.'
    cfg.test_dataloader.dataset.pipeline.pop(0)
    plain = ImageClassificationInferencer(cfg, pretrained=str(trained), device='cpu')
    paths = [str(path) for path in (folder / 'a.png', folder / 'sub/c.PNG')]
    for found, wanted in zip(inferencer(paths), plain(paths)):
        np.testing.assert_allclose(found['pred_scores'], wanted['pred_scores'], atol=1e-6)
        assert found['pred_class'] == NAMES[wanted['pred_label']]


def test_kinds_of_input(folder, inferencer):
    path = folder / 'a.png'
    image = Image.open(path)
    results = inferencer([str(path), path, image, np.asarray(image)[..., ::-1]])
    for found in results[1:]:
        np.testing.assert_array_equal(found['pred_scores'], results[0]['pred_scores'])
    with pytest.raises(TypeError, match='must be a file name, a PIL image or an array'):
        inferencer(np.zeros((4, 4), np.uint8))


def test_drawn(folder, inferencer):
    Path('mine/sub/torn.jpg').unlink()
    inferencer([folder / 'a.png', Image.open(folder / 'd.webp')], show_dir='shown')
    assert sorted(os.listdir('shown')) == ['1.png', 'a.png']
    assert Image.open('shown/a.png').size[0] >= 50


def test_upright(folder, inferencer, trained):
    """A photo that lies on its side, with the EXIF note of a phone."""
    image = Image.open(folder / 'a.png')
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    image.transpose(Image.Transpose.ROTATE_90).save('lying.png', exif=exif)
    (wanted,) = inferencer(str(folder / 'a.png'))
    (found,) = inferencer('lying.png')
    np.testing.assert_array_equal(found['pred_scores'], wanted['pred_scores'])
    (as_stored,) = PromptInferencer(trained, device='cpu', upright=False)('lying.png')
    assert abs(as_stored['pred_scores'] - wanted['pred_scores']).max() > 1e-4


def test_stream_is_lazy_and_encodes_text_once(folder, trained, tmp_path):
    fresh, encoded = PromptInferencer(trained, device='cpu'), []
    files = [tmp_path / f'{i}.png' for i in range(9)]
    photo = (folder / 'a.png').read_bytes()
    for file in files[:3]:
        file.write_bytes(photo)
    fresh.model.text_tower.register_forward_hook(lambda *_: encoded.append(1))
    stream = fresh.stream([str(file) for file in files], batch_size=3)
    assert next(stream)['pred_class'] in NAMES
    for file in files[3:]:  # not looked at before they are due
        file.write_bytes(photo)
    assert [one['pred_class'] in NAMES for one in stream] == [True] * 8
    assert len(encoded) == 2  # learnt prompts and templates, once each


@pytest.mark.parametrize('method', ['coop', 'cocoop', 'vpt', 'dpt', 'adapter'])
def test_other_classes(folder, method):
    """A class among the old and the new keeps its prompt: the odds of two stay."""
    model = saved(method)
    both, old = ['one', 'four'], PromptInferencer('method.pth', device='cpu')
    new = PromptInferencer('method.pth', classes=both, device='cpu')
    assert new.classes == both and old.classes == NAMES and model.classes == NAMES
    images = [str(folder / 'a.png'), str(folder / 'd.webp')]
    for before, after in zip(old(images), new(images)):
        assert after['pred_scores'].shape == (2,) and after['pred_scores'].sum() == pytest.approx(
            1, abs=1e-5
        )
        if method != 'dpt':  # there the image sees the classes
            odds = before['pred_scores'][2] / before['pred_scores'][1]
            assert after['pred_scores'][0] / after['pred_scores'][1] == pytest.approx(odds, 1e-4)


@pytest.mark.parametrize(
    'method, words',
    [('csc', 'cannot carry class-specific context'), ('tip', 'cannot carry the cache')],
)
def test_other_classes_refused(folder, capsys, method, words):
    saved(method)
    assert words in refused(capsys, 'predict', 'method.pth', folder, '--classes', 'one,two')


def test_templates(folder, capsys):
    saved('coop')
    assert '--templates would change nothing: the CoOp prompts' in refused(
        capsys, 'predict', 'method.pth', folder, '--templates', 'a {}.'
    )
    saved('vpt')
    scores = [
        PromptInferencer('method.pth', templates=given, device='cpu')(folder / 'a.png')[0]
        for given in (None, ['the digit {}.'], ['a photo of the number {}.'])
    ]
    np.testing.assert_array_equal(scores[0]['pred_scores'], scores[1]['pred_scores'])
    assert abs(scores[0]['pred_scores'] - scores[2]['pred_scores']).max() > 1e-3


def test_zero_shot(folder):
    Path('names.txt').write_text('one\nfour\n\neight\n')
    tiny = ['--arch', 'mmdpt-tiny', '--pretrained', 'mmdpt-tiny']
    tool(
        'predict',
        'zero-shot',
        folder / 'a.png',
        '--classes',
        'names.txt',
        '--template',
        'the digit {}.',
        '--json',
        'z.jsonl',
        '--top-k',
        3,
        *tiny,
    )
    row = json.loads(Path('z.jsonl').read_text())
    model = saved('coop', classes=['one', 'four', 'eight'])
    given = PromptInferencer('method.pth', device='cpu')
    with model.zero_shot():
        given.model = model
        (wanted,) = given(folder / 'a.png')
    found = {c['name']: c['probability'] for c in row['classes']}
    assert [found[n] for n in model.classes] == pytest.approx(wanted['pred_scores'].tolist(), 1e-4)


@pytest.mark.parametrize(
    'arguments, words',
    [
        (['CHECKPOINT', 'nowhere.jpg'], 'no image file or folder nowhere.jpg'),
        (['CHECKPOINT', 'texts'], 'no image in the folder texts (there is 2 .txt)'),
        (['CHECKPOINT', 'empty'], 'no image in the folder empty (there is nothing)'),
        (['CHECKPOINT', 'mine/sub/torn.jpg', 'mine/a.png'], '1 of 2 images could not be read'),
        (['CHECKPOINT', 'mine/notes.txt'], 'unknown format'),
        (['CHECKPOINT', 'huge.png'], 'is too large'),
        (['CHECKPOINT', 'mine', '--json', 'mine'], 'cannot write mine: Is a directory'),
        (
            ['CHECKPOINT', 'mine', '--csv', 'nowhere/a.csv'],
            'cannot write nowhere/a.csv: there is no',
        ),
        (['CHECKPOINT', 'mine', '--top-k', '4'], '--top-k is 4, but there are 3 classes'),
        (['CHECKPOINT', 'mine', '--batch-size', '0'], '--batch-size must be at least 1'),
        (['CHECKPOINT', 'mine', '--classes', 'one'], '--classes names 1 class(es)'),
        (['CHECKPOINT', 'mine', '--device', 'gpu'], "the device 'gpu' cannot be used"),
        (['CHECKPOINT', 'mine', '--arch', 'ViT-B-16'], '--arch belongs to zero-shot'),
        (['CHECKPOINT', 'mine', '--templates', 'a photo'], 'must be words with one {}'),
        (['CHECKPOINT', 'mine', '--config', 'coop.py'], 'Was it trained with another method'),
        (['CHECKPOINT', 'mine', '--pretrained', 'nowhere.pt'], 'neither a file nor a tag'),
        (['mine/a.png', 'mine'], 'is damaged, cut short or not a checkpoint'),
        (['nowhere.pth', 'mine'], 'no checkpoint file nowhere.pth'),
        (['zero-shot', 'mine'], 'zero-shot needs class names'),
    ],
)
def test_refused(trained, folder, capsys, arguments, words):
    for name in ('texts/a.txt', 'texts/b.txt', 'empty/.keep'):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text('text')
    Path('empty/.keep').unlink()
    if 'huge.png' in arguments:
        Image.new('1', (20000, 20000)).save('huge.png')
    Config(
        dict(
            model=dict(TINY, classes=NAMES, **METHODS['coop']),
            test_dataloader=dict(dataset=dict(pipeline=PIPELINE)),
        )
    ).dump('coop.py')
    before = sorted(os.listdir())
    arguments = [trained if a == 'CHECKPOINT' else a for a in arguments]
    assert words in refused(capsys, 'predict', *arguments, '--quiet')
    assert sorted(os.listdir()) == before


def test_unwritable_before_anything_is_loaded(folder, capsys):
    # There is no x.pth, of which nothing is said.
    assert 'cannot write' in refused(capsys, 'predict', 'x.pth', folder, '--json', 'no/x.json')


def test_interrupted_json_is_complete(trained, folder, monkeypatch):
    def torn(self, paths, *_):
        yield dict(img_path='a.png', pred_scores=np.array([0.5, 0.3, 0.2]))
        raise KeyboardInterrupt

    monkeypatch.setattr(PromptInferencer, 'stream', torn)
    with pytest.raises(SystemExit):
        tool('predict', trained, folder, '--json', 'part.json')
    assert json.load(open('part.json')) == [
        dict(image='a.png', classes=[dict(name='eight', probability=0.5)])
    ]


def test_checkpoint_without_recipe(trained, folder, capsys):
    """An older one: its config file must be named; it is run only then."""
    checkpoint = read_checkpoint(trained)
    (wanted,) = PromptInferencer(trained, device='cpu')(folder / 'a.png')
    del checkpoint['meta']['mmdpt']['recipe']
    torch.save(checkpoint, 'old.pth')
    assert 'give the config file that training left beside it: --config' in refused(
        capsys, 'predict', 'old.pth', folder
    )
    config = trained.with_name(CUSTOM.name)
    (found,) = PromptInferencer('old.pth', config=str(config), device='cpu')(folder / 'a.png')
    np.testing.assert_array_equal(found['pred_scores'], wanted['pred_scores'])


@pytest.mark.parametrize(
    'place, value',
    [
        (('model', 'type'), 'subprocess.Popen'),
        (('model', 'head'), dict(type='os.system', command='touch hacked')),
        (('model', 'text_prompt', 'type'), 'builtins.eval'),
        (('model', 'init_cfg'), dict(type='Pretrained', checkpoint='http://example.org/x')),
        (('pipeline', 0), dict(type='os.system', command='touch hacked')),
        (('pipeline', 0), dict(type='LoadAnnotations')),
        (('pipeline', 1, 'pad'), dict(type='os.system')),
        (('version',), 2),
        (('model',), ['x']),
    ],
)
def test_hostile_recipe(trained, folder, capsys, place, value):
    """A recipe names known parts, or the checkpoint is refused."""
    checkpoint = read_checkpoint(trained)
    target = checkpoint['meta']['mmdpt']['recipe']
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = value
    torch.save(checkpoint, 'evil.pth')
    assert 'does not carry all that predicting needs' in refused(
        capsys, 'predict', 'evil.pth', folder
    )
    assert not Path('hacked').exists()


def test_recipe_of_ones_own_parts(trained):
    """What only the config file can build is named in the checkpoint."""
    cfg = Config.fromfile(trained.with_name(CUSTOM.name))
    assert make_recipe(cfg)['model']['templates'] == ['the digit {}.']
    cfg.model.head.type = 'MyHead'
    assert "'MyHead' is not one of the parts" in make_recipe(cfg)['missing']
    with pytest.raises(ValueError, match='MyHead'):
        check_recipe(make_recipe(cfg))
    assert 'no test_dataloader' in make_recipe(Config(dict(model=cfg.model)))['missing']


def test_moved_weights(folder, capsys):
    """CLIP's weights are not in the checkpoint; others are noticed."""
    from mmdpt import tiny_clip

    Path('clip.safetensors').write_bytes(Path(tiny_clip.WEIGHTS).read_bytes())
    torch.manual_seed(0)
    cfg = dict(TINY, classes=NAMES, **METHODS['coop'])
    cfg['pretrained'] = 'clip.safetensors'
    cfg = Config(dict(model=cfg, test_dataloader=dict(dataset=dict(pipeline=PIPELINE))))
    built = MODELS.build(cfg.model)
    about = dict(built.identity(), recipe=make_recipe(cfg))
    torch.save(dict(state_dict=built.state_dict(), meta=dict(mmdpt=about)), 'm.pth')
    os.rename('clip.safetensors', 'moved.safetensors')
    assert "needs CLIP's weights" in refused(capsys, 'predict', 'm.pth', folder)
    (found,) = PromptInferencer('m.pth', pretrained='moved.safetensors', device='cpu')(
        folder / 'a.png'
    )
    assert found['pred_class'] in NAMES
    weights = {
        k: v + 0.1
        for k, v in __import__('safetensors.torch').torch.load_file('moved.safetensors').items()
    }
    torch.save(weights, 'other.pt')
    assert 'prompts fit only the weights they were learnt on' in refused(
        capsys, 'predict', 'm.pth', folder, '--pretrained', 'other.pt'
    )


def test_two_classes_of_one_name(folder):
    """As ImageNet has: they stay as they were trained."""
    names = ('crane', 'one', 'crane')
    saved('coop', classes=dict(benchmark=Benchmark('Two cranes', names, ('a {}.',))))
    assert PromptInferencer('method.pth', device='cpu').classes == list(names)


def test_find_images(folder):
    found = find_images([folder / 'notes.txt', folder])
    assert found[0] == 'mine/notes.txt' and len(found) == 6


def test_classifier_of_mmpretrain(folder, capsys):
    """One that reads no class names: with its config file."""
    cfg = Config(
        dict(
            model=dict(
                type='ImageClassifier',
                backbone=dict(type='MobileNetV2', widen_factor=0.1),
                neck=dict(type='GlobalAveragePooling'),
                head=dict(type='LinearClsHead', num_classes=3, in_channels=1280),
            ),
            data_preprocessor=dict(mean=[99.0, 99.0, 99.0], std=[50.0, 50.0, 50.0], to_rgb=True),
            test_dataloader=dict(dataset=dict(pipeline=PIPELINE)),
        )
    )
    cfg.dump('net.py')
    model = MODELS.build(dict(cfg.model, data_preprocessor=cfg.data_preprocessor)).eval()
    torch.save(
        dict(
            state_dict=model.state_dict(),
            meta=dict(dataset_meta=dict(classes=NAMES), mmdpt=dict(recipe=make_recipe(cfg))),
        ),
        'net.pth',
    )
    assert 'ImageClassifier is not a PromptedCLIP): give the config' in refused(
        capsys, 'predict', 'net.pth', folder
    )
    made = PromptInferencer('net.pth', config='net.py', device='cpu')
    batch = next(made.preprocess([folder / 'a.png']))
    with torch.no_grad():
        (wanted,) = model.test_step(batch)
    (found,) = made(folder / 'a.png')
    np.testing.assert_allclose(found['pred_scores'], wanted.pred_score, rtol=1e-5)
    assert found['pred_class'] == NAMES[int(wanted.pred_label)]
    assert 'ImageClassifier, which reads no class names' in refused(
        capsys, 'predict', 'net.pth', folder, '--config', 'net.py', '--classes', 'a,b'
    )
    checkpoint = read_checkpoint('net.pth')
    checkpoint['state_dict'].popitem()
    torch.save(checkpoint, 'torn.pth')
    assert 'torn.pth does not fit the config' in refused(
        capsys, 'predict', 'torn.pth', folder, '--config', 'net.py'
    )

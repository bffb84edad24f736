"""PromptKD: no label enters, the teacher's answers may be kept, all processes share statistics."""

import json
import os
import random
from pathlib import Path

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F
from helpers.clip_files import save
from helpers.matrix import METHODS
from helpers.plain import CLASSES, encode_image, small_clip
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpretrain.registry import DATASETS, MODELS
from mmpretrain.structures import DataSample
from PIL import Image

from mmdpt.datasets.digits import DigitsDataset
from mmdpt.engine import FewShotRunner
from mmdpt.models.clip.load import load_clip
from mmdpt.models.heads.batch_norm import BatchNorm

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / 'configs/promptkd/promptkd_tiny_digits.py'
IMAGES = 40


def build(**options):
    init_default_scope('mmpretrain')
    torch.manual_seed(0)
    model = dict(
        type='PromptedCLIP',
        arch=small_clip(),
        pretrained=None,
        classes=CLASSES,
        precision='fp64',
        data_preprocessor=dict(mean=None, std=None),
        **METHODS['promptkd'],
    )
    return MODELS.build({**model, **options})


def runner(work_dir, **options):
    cfg = Config.fromfile(CONFIG)
    cfg.merge_from_dict(
        {
            'work_dir': str(work_dir),
            'log_level': 'ERROR',
            'experiment_name': os.path.basename(str(work_dir)) + str(random.random()),
            'train_cfg.max_epochs': 2,
            'train_dataloader.batch_size': 8,
            'train_dataloader.dataset.indices': IMAGES,
            'test_dataloader.dataset.indices': 20,
            'val_dataloader.dataset.indices': 20,
            **options,
        }
    )
    return FewShotRunner.from_cfg(cfg)


def trained(work_dir, **options):
    """What a short training learnt."""
    found = runner(work_dir, **options)
    found.train()
    return {n: t.clone() for n, t in found.model.state_dict().items()}


def test_equals_the_plain_path():
    """Loss and gradients by PyTorch's own batch norm and a sum over classes and images."""
    model = build().train()
    images = torch.randn(5, 3, 32, 32).double()
    (teacher,) = model._teacher
    learnt = {n: p for n, p in model.named_parameters() if p.requires_grad}
    total, _ = model.parse_losses(model.loss(images, [DataSample() for _ in images]))
    fast = torch.autograd.grad(total, list(learnt.values()))

    first, norm, _, last = model.head.projector
    plain = nn.BatchNorm1d(norm.weight.numel()).double()
    plain.weight, plain.bias = norm.weight, norm.bias
    image, *_ = encode_image(model.backbone, images, model.visual_prompt)
    student = F.normalize(last(plain(first(image)).clamp(min=0)), dim=-1)
    with torch.no_grad():
        h = F.normalize(teacher.model.clip_features(images), dim=-1)
        g = teacher.model.frozen_text_features()
    t = model.head.temperature
    p = (teacher.model.scale * h @ g.t() / t).softmax(1)
    q = (model.scale * student @ g.t() / t).softmax(1)
    expected = 0
    for i in range(len(images)):
        for c in range(len(CLASSES)):
            expected = expected + p[i, c] * (p[i, c].log() - q[i, c].log())
    expected = model.head.weight * t**2 * expected / (len(images) * len(CLASSES))
    torch.testing.assert_close(total, expected, rtol=1e-9, atol=0)
    slow = torch.autograd.grad(expected, list(learnt.values()))
    for name, a, b in zip(learnt, fast, slow):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9 * max(b.abs().max().item(), 1e-3))
        assert name == 'head.projector.0.bias' or b.abs().max() > 1e-6
    for name in norm.saved_buffers:
        torch.testing.assert_close(getattr(norm, name), getattr(plain, name).to(norm.weight))


def test_no_label_enters(tmp_path, monkeypatch):
    """Shuffled labels, none at all, or no draw: the same training, bit for bit."""
    wanted = trained(tmp_path / 'none')
    assert (wanted['head.projector.1.running_mean'] != 0).any()
    labelled = {'train_dataloader.dataset.unlabelled': False}
    with_labels = trained(tmp_path / 'labels', **labelled)
    load = DigitsDataset.load_split

    def shuffled(self):
        split, rng = load(self), random.Random(5)
        labels = [item.label for item in split.train]
        rng.shuffle(labels)
        train = [item._replace(label=label) for item, label in zip(split.train, labels)]
        assert train != split.train
        return split._replace(train=train)

    monkeypatch.setattr(DigitsDataset, 'load_split', shuffled)
    for state in (with_labels, trained(tmp_path / 'shuffled', **labelled)):
        assert state.keys() == wanted.keys()
        assert all(torch.equal(state[n], wanted[n]) for n in wanted)


def test_no_label_is_even_loaded():
    dataset = DigitsDataset(unlabelled=True)
    assert len(dataset) == len(DigitsDataset(split='train')) > 400
    assert all('gt_label' not in dataset.get_data_info(i) for i in range(len(dataset)))


def test_predicts_without_the_teacher(tmp_path):
    model = build().train()
    images = torch.randn(4, 3, 32, 32).double()
    model.loss(images, [DataSample() for _ in images])  # moves the running statistics
    state = model.state_dict()
    assert {'head.text', 'head.projector.1.running_var', 'visual_prompt.tokens'} < set(state)
    assert not any('teacher' in name for name in state)
    alone = build(teacher=None).eval()
    alone.load_state_dict(state)
    assert torch.equal(alone(images), model.eval()(images))
    with pytest.raises(ValueError, match='PromptKDHead learns from a teacher, but there is none'):
        alone.train().loss(images, [DataSample() for _ in images])


def test_some_classes_are_rows_of_the_text(tmp_path):
    """Base and new classes of one checkpoint, with the teacher and without."""
    model = build().eval()
    images = torch.randn(3, 3, 32, 32).double()
    wanted = model(images)
    rows = [2, 0]
    for teacher in (None, METHODS['promptkd']['teacher']):
        part = build(classes=[CLASSES[i] for i in rows], transfer=True, teacher=teacher).eval()
        part.load_state_dict(model.state_dict())
        torch.testing.assert_close(part(images), wanted[:, rows])
    other = build(classes=['cat', 'dog'], transfer=True, teacher=None)
    with pytest.raises(ValueError, match="4 classes alone, and 'dog' is not among them: set model"):
        other.load_state_dict(model.state_dict())


TEACHER = METHODS['promptkd']['teacher']


@pytest.mark.parametrize(
    'options, message',
    [
        (
            dict(head=dict(type='PromptKDHead', size=31)),
            'has the size 24, but model.head.size is 31',
        ),
        (
            dict(head=dict(type='PromptKDHead', size=24, cal_acc=True)),
            'reads no label, so it takes no cal_acc',
        ),
        (dict(head=dict(type='PromptKDHead', size=24, temperature=0)), 'temperature must not be 0'),
        (
            dict(teacher=dict(model=dict(TEACHER['model'], classes=['a', 'b']))),
            r'The teacher has 2 classes \(a, ...\), the student 4',
        ),
        (
            dict(
                teacher=dict(
                    model=dict(
                        TEACHER['model'], text_prompt=dict(type='CoCoOp', num_tokens=2, reduction=8)
                    ),
                    checkpoint='cocoop.pth',
                )
            ),
            'depend on the image .CoCoOp.: choose another',
        ),
        (
            dict(train_cfg=dict(augments=dict(type='Mixup', alpha=0.5))),
            'reads no label, which batch augmentation',
        ),
    ],
)
def test_what_is_refused(options, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if 'checkpoint' in options.get('teacher', {}):
        torch.manual_seed(0)
        teacher = MODELS.build(
            dict(options['teacher']['model'], type='PromptedCLIP', classes=CLASSES)
        )
        torch.manual_seed(0)
        torch.save(dict(state_dict=teacher.state_dict(), meta={}), 'cocoop.pth')
        monkeypatch.setattr('mmdpt.models.learnt_state.check_identity', lambda *_: None)
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_teachers_from_a_checkpoint(tmp_path):
    """Prompts of a training of ours; those of another CLIP, or of other classes, are refused."""
    model = dict(
        TEACHER['model'],
        text_prompt=dict(type='DeepCoOp', num_layers=2, num_tokens=2),
        visual_prompt=dict(type='VPT', num_tokens=3, num_layers=2, pre_norm=True),
    )
    init_default_scope('mmpretrain')
    torch.manual_seed(3)
    clip = load_clip(TEACHER['model']['arch'], None)
    model['pretrained'] = save(clip.model.state_dict(), 'bare.pt', tmp_path)
    trained = MODELS.build(dict(model, type='PromptedCLIP', classes=CLASSES))
    path = str(tmp_path / 'promptsrc.pth')
    torch.save(dict(state_dict=trained.state_dict(), meta={}), path)
    student = build(teacher=dict(model=model, checkpoint=path))
    images = torch.randn(2, 3, 32, 32).double()
    torch.testing.assert_close(student._teacher[0](images), trained.eval()(images))
    torch.testing.assert_close(
        student.head.text, F.normalize(trained.text_features(), dim=-1).detach()
    )
    other = dict(model, pretrained=None)
    with pytest.raises(ValueError, match='The checkpoint was trained on CLIP .* prompts fit only'):
        build(teacher=dict(model=other, checkpoint=path))
    with pytest.raises(ValueError, match='trained for 4 classes and the model has 2'):
        build(teacher=dict(model=model, checkpoint=path), classes=['cat', 'dog'])
    with pytest.raises(ValueError, match='has a text_prompt, which would be random'):
        build(teacher=dict(model=model))


def test_training_needs_a_teacher(tmp_path):
    found = runner(tmp_path, **{'model.teacher': None})
    with pytest.raises(ValueError, match='PromptKDHead learns from a teacher, but there is none'):
        found.train()


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(shots=4), 'needs shots=None, got 4'),
        (dict(split='val'), "needs split='train', got 'val'"),
        (dict(subset='base'), "needs subset='all', got 'base'"),
        (dict(unlabelled=3), 'unlabelled must be True, False or a folder, got 3'),
        (dict(unlabelled='nowhere'), "folder of unlabelled images 'nowhere' does not exist"),
        (dict(unlabelled='.'), 'no image in the folder .: give another'),
    ],
)
def test_what_needs_labels(options, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ValueError, TypeError, FileNotFoundError), match=message):
        DigitsDataset(**{'unlabelled': True, **options})


def test_a_folder_of_images(tmp_path):
    """All images below it, hidden ones left out; the results name it; a table of its own."""
    for i, name in enumerate(('b.png', 'a/c.png', 'a/d/e.png', '.h/f.png', 'a/.g.png', 'x.txt')):
        path = tmp_path / 'images' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new('RGB', (8, 8), (40 * i, 10, 99)).save(path, 'png')
    folder = str(tmp_path / 'images')
    found = runner(
        tmp_path / 'work',
        **{
            'train_dataloader.dataset.unlabelled': folder,
            'train_dataloader.dataset.indices': None,
            'train_cfg.max_epochs': 1,
        },
    )
    dataset = found.train_dataloader.dataset
    paths = [dataset.get_data_info(i)['img_path'] for i in range(len(dataset))]
    assert [os.path.relpath(p, folder) for p in paths] == ['a/c.png', 'a/d/e.png', 'b.png']
    found.train()
    results = json.loads((tmp_path / 'work/results.json').read_text())
    assert results['unlabelled_images'] == dict(images=3, source=f'the folder {folder}')

    from mmdpt.results import all_tables, collect, find_runs

    rows, _ = collect(find_runs([str(tmp_path / 'work')]))
    tables, _ = all_tables(rows)
    rows = {t.title: [labels[0] for labels, _ in t.rows] for t in tables}
    assert rows['Digits by shots, unlabelled images'] == ['zero_shot', 'promptkd']
    assert rows['Digits by shots'] == ['zero_shot']


def test_baselines_need_labels(tmp_path):
    found = runner(tmp_path, **{'default_hooks.report.baselines': ['raw_pixels']})
    with pytest.raises(ValueError, match='raw_pixels learn from labels, and the training images'):
        found.train()


def kept(folder, **options):
    return {
        'model.precision': 'fp64',
        'model.teacher.model.precision': 'fp64',
        'default_hooks.kept': dict(type='KeptTeacherHook', cache_dir=str(folder), **options),
    }


def test_kept_answers_are_those_of_the_teacher(tmp_path, monkeypatch):
    """Each epoch's own view: the stock training, up to rounding; then no teacher runs."""
    double = {k: v for k, v in kept('').items() if 'kept' not in k}
    wanted = trained(tmp_path / 'stock', **double)
    first = trained(tmp_path / 'first', **kept(tmp_path / 'cache'))
    for name in wanted:
        torch.testing.assert_close(first[name], wanted[name], rtol=1e-7, atol=1e-9)
    files = sorted((tmp_path / 'cache').iterdir())
    assert len(files) == 2  # views
    found = runner(tmp_path / 'again', **kept(tmp_path / 'cache'))

    def never(*_):
        raise AssertionError('the teacher ran')

    found.model._teacher[0].model.backbone.register_forward_pre_hook(never)
    found.train()
    again = found.model.state_dict()
    assert all(torch.equal(again[n], first[n]) for n in first)
    files[0].write_bytes(files[0].read_bytes()[:-1] + b'\0')
    repaired = trained(tmp_path / 'repaired', **kept(tmp_path / 'cache'))
    assert all(torch.equal(repaired[n], first[n]) for n in first)


def test_fewer_views_are_told(tmp_path):
    found = runner(tmp_path / 'work', **kept(tmp_path / 'cache', views=1))
    found.train()
    assert len(list((tmp_path / 'cache').iterdir())) == 1
    results = json.loads((tmp_path / 'work/results.json').read_text())
    assert results['unlabelled_images']['views'] == 1
    assert found.train_dataloader.dataset._epoch == 0


def test_the_key_of_kept_answers(tmp_path):
    """Another seed, view, transform or teacher: another file."""
    from mmdpt.evaluation.teacher_logits import teacher_logits

    found = runner(tmp_path / 'work')
    model, dataset, folder = found.model, found.train_dataloader.dataset, tmp_path / 'cache'

    def files(view=0):
        logits = teacher_logits(model, dataset, view, 100, 0, str(folder))
        assert logits.shape == (IMAGES, 10)
        return len(list(folder.iterdir()))

    assert [files(), files(), files(view=1)] == [1, 1, 2]
    dataset.seed = 9
    assert files() == 3
    dataset.pipeline.transforms.pop(3)  # the affine one
    assert files() == 4
    model._teacher[0].config['templates'] = ['{}']
    assert files() == 5


def test_hooks_that_have_nothing_to_keep(tmp_path):
    with pytest.raises(ValueError, match='views must be at least 1, got 0'):
        runner(tmp_path, **kept(tmp_path, views=0))
    with pytest.raises(ValueError, match='views are for answers that are kept: set cache_dir'):
        runner(tmp_path, **{'default_hooks.kept.views': 2})
    found = runner(
        tmp_path,
        **kept(tmp_path),
        **{'model.teacher': None, 'model.head': dict(_delete_=True, type='SimilarityHead')},
    )
    with pytest.raises(ValueError, match='keeps the logits of a teacher: set model.teacher'):
        found.train()


def test_batch_norm_needs_two_images():
    norm = BatchNorm(3)
    with pytest.raises(ValueError, match='needs at least 2 images in a batch, but there is 1'):
        norm(torch.randn(1, 3))
    assert norm.eval()(torch.ones(1, 3)).shape == (1, 3)


def test_the_teacher_of_a_checkpoint():
    """Prompts that another teacher taught are not trained on."""
    model, other = build(), build()
    other.head.text.neg_()
    model.load_state_dict(other.state_dict())
    with pytest.raises(ValueError, match='text features of another teacher than model.teacher'):
        model.head.set_epoch(0)
    build().head.set_epoch(0)


def test_own_dataset_reads_no_label(tmp_path):
    from helpers.trees import write_photos

    write_photos(tmp_path / 'photos')
    options = dict(
        type='FewShotDataset',
        benchmark=dict(name='Own'),
        data_root=str(tmp_path / 'photos'),
        split='train',
    )
    labelled, without = (DATASETS.build(dict(options, unlabelled=u)) for u in (False, True))
    paths = [[d.get_data_info(i)['img_path'] for i in range(len(d))] for d in (labelled, without)]
    assert paths[0] == paths[1] and len(without) > 3
    assert 'gt_label' not in without.get_data_info(0)


def test_the_checkpoint_says_what_the_teacher_is(tmp_path):
    """A PromptSRC training teaches the digits; base and new classes of the student."""
    cfg = Config.fromfile(ROOT / 'configs/promptsrc/promptsrc_tiny_digits_16shot.py')
    cfg.merge_from_dict(
        {
            'work_dir': str(tmp_path / 'promptsrc'),
            'log_level': 'ERROR',
            'experiment_name': str(random.random()),
            'train_cfg.max_epochs': 1,
            'train_dataloader.dataset.shots': 2,
            'default_hooks.report.enable': False,
        }
    )
    FewShotRunner.from_cfg(cfg).train()
    checkpoint = str(tmp_path / 'promptsrc/epoch_1.pth')
    teacher = {'model.teacher.checkpoint': checkpoint}
    found = runner(tmp_path / 'student', **teacher)
    (built,) = found.model._teacher
    assert type(built.model.text_prompt).__name__ == 'DeepCoOp'
    state = torch.load(checkpoint, weights_only=False)['state_dict']
    assert torch.equal(built.model.text_prompt.context, state['text_prompt.context'])
    found.train()

    from mmdpt.cli.test_protocol import main

    main(
        [
            found.cfg.filename,
            str(tmp_path / 'student/epoch_2.pth'),
            '--protocol',
            'base-to-new',
            '--cfg-options',
            f'model.teacher.checkpoint={checkpoint}',
            f'work_dir={tmp_path}/protocol',
        ]
    )
    results = json.loads((tmp_path / 'student/protocol_base-to-new.json').read_text())
    assert set(results['accuracy']) == {'base', 'new'}
    assert results['unlabelled_images']['images'] == IMAGES
    other = {'model.teacher.model.pretrained': None}  # random weights
    with pytest.raises(ValueError, match='trained on CLIP .* prompts fit only the weights'):
        runner(tmp_path / 'other', **teacher, **other)

"""PromptKD: the head, its teacher, and what predicts without one."""

import json
import random

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F
from helpers.clip_files import save
from helpers.matrix import METHODS
from helpers.plain import CLASSES, encode_image, small_clip
from helpers.promptkd_runs import IMAGES, ROOT, runner
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

from mmdpt.cli import test_protocol
from mmdpt.engine import FewShotRunner
from mmdpt.models.clip.load import load_clip
from mmdpt.models.heads.batch_norm import BatchNorm


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


def test_a_teacher_that_nobody_listens_to_is_refused():
    with pytest.raises(ValueError, match='nothing learns from it, SimilarityHead neither'):
        build(head=dict(type='SimilarityHead'))


def test_a_teacher_of_other_classes_says_which_option_carries_it_over(tmp_path):
    file = str(tmp_path / 'teacher.pth')
    half = build(classes=CLASSES[:2], teacher=None, head=dict(type='SimilarityHead'))
    torch.save(dict(state_dict=half.state_dict(), meta={}), file)
    teacher = METHODS['promptkd']['teacher']
    theirs = dict(teacher['model'], visual_prompt=METHODS['promptkd']['visual_prompt'])
    message = "The teacher '.*': .*class 2 is missing in the checkpoint.*set model.teacher.model.tr"
    with pytest.raises(ValueError, match=message):
        build(teacher=dict(teacher, model=theirs, checkpoint=file))


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

    test_protocol.main(
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

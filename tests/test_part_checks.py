"""Parts that do not fit together are refused when the model is built."""

import copy

import pytest
import torch
import torch.nn.functional as F
from helpers.classifier import build
from helpers.plain import small_clip
from mmengine.registry import MODELS as ROOT
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

from mmdpt.models import CoOp, SimilarityHead, VisualPrompt
from mmdpt.models.clip.edits import Edit

WIDE = dict(small_clip(), vision_cfg=dict(small_clip()['vision_cfg'], image_size=64))


class Answer(VisualPrompt):
    """Gives one edit in block 1."""

    def __init__(self, about, edit):
        super().__init__(about)
        self.edit = edit

    def at_block(self, depth, tokens, classes=None):
        return self.edit if depth == 1 else None


class TextAnswer(CoOp):
    """Gives one edit in block 1, beside CoOp's context."""

    def __init__(self, about, edit):
        super().__init__(about, num_tokens=2)
        self.edit = edit

    def at_block(self, depth):
        return self.edit if depth == 1 else None


class Asks(SimilarityHead):
    """Requires what its config names."""

    def __init__(self, about, asks, **kwargs):
        super().__init__(about, **kwargs)
        self.requires = frozenset(asks)


class Distils(SimilarityHead):
    """Learns from the teacher alone."""

    requires = frozenset({'teacher'})

    def loss(self, match, data_samples, **kwargs):
        target = match.teacher.softmax(-1)
        return dict(loss_teacher=F.cross_entropy(self(match), target))


@pytest.fixture(autouse=True, scope='module')
def registered():
    kinds = (Answer, TextAnswer, Asks, Distils)
    for kind in kinds:
        MODELS.register_module(module=kind)
    yield
    for kind in kinds:
        MODELS._module_dict.pop(kind.__name__)


@pytest.mark.parametrize(
    'part, edit, message',
    [
        ('visual_prompt', Edit(torch.zeros(2, 63), 'append'), "does not fit the image tower's"),
        ('visual_prompt', Edit(torch.zeros(2, 63), 'append', stays=False), 'image tower'),
        ('visual_prompt', Edit(torch.zeros(2, 64)), 'An edit of 2 tokens'),  # nothing to replace
        ('visual_prompt', Edit(torch.zeros(2, 64), 'between'), "how='between' is unknown"),
        ('text_prompt', Edit(torch.zeros(2, 32)), 'does not fit block 1 of the text tower'),
        ('text_prompt', Edit(torch.zeros(3, 2, 64)), 'TextAnswer does not fit block 1'),
        ('text_prompt', Edit(torch.zeros(80, 64)), 'An edit of 80 tokens'),
        ('text_prompt', Edit(torch.zeros(2, 64), 'append'), "enter by 'replace' or 'insert'"),
        ('text_prompt', Edit(torch.zeros(2, 64), stays=False), 'are for visual prompts'),
    ],
)
def test_edits_that_do_not_fit(part, edit, message):
    kind = 'Answer' if part == 'visual_prompt' else 'TextAnswer'
    with pytest.raises(ValueError, match=message):
        build('zeroshot', **{part: dict(type=kind, edit=edit)})


def test_edits_that_fit():
    edit = Edit(torch.zeros(2, 64), 'append')
    build('zeroshot', visual_prompt=dict(type='Answer', edit=edit))
    build('zeroshot', text_prompt=dict(type='TextAnswer', edit=Edit(torch.zeros(4, 2, 64))))


@pytest.mark.parametrize(
    'asks, message',
    [
        (['evidence'], 'Asks needs class evidence, but visual_prompt is NoneType: use CAVPT'),
        (['prompt_tokens'], "Asks reads what became of the visual prompt's tokens"),
        (['teacher'], 'Asks learns from a teacher, but there is none: set model.teacher'),
        (['text_prompt'], 'Asks guides learnt text features, but text_prompt is None'),
        (['caption'], "Asks requires 'caption', which is unknown: it may name class_ids"),
    ],
)
def test_nobody_gives_what_is_required(asks, message):
    with pytest.raises(ValueError, match=message):
        build('zeroshot', head=dict(type='Asks', asks=asks))


def test_heads_belong_in_prompted_clip():
    with pytest.raises(ValueError, match='SimilarityHead compares images with text, which only'):
        ROOT.build(dict(type='mmpretrain.SimilarityHead'))


def test_the_epoch_must_be_told():
    model = build('dpt').train()
    images = torch.randn(2, 3, 32, 32)
    samples = [DataSample().set_gt_label(i) for i in range(2)]
    with pytest.raises(RuntimeError, match='nobody said which epoch it is: add dict'):
        model.loss(images, samples)
    model.head.set_epoch(0)
    assert model.loss(images, samples)['loss_text_guide'] > 0
    model.head.set_epoch(99)
    assert model.loss(images, samples)['loss_text_guide'] == 0


def test_teacher():
    """Its logits are those of zero-shot CLIP, and nothing of it is saved."""
    torch.manual_seed(1)
    teacher = dict(model=dict(arch=small_clip(), pretrained=None, precision='fp64'))
    model = build('coop', head=dict(type='Distils'), teacher=teacher).train()
    (kept,) = model._teacher
    images = torch.randn(3, 3, 32, 32)
    with torch.no_grad():
        image = F.normalize(kept.model.clip_features(images), dim=-1)
        expected = kept.model.scale * image @ kept.model.frozen_text_features().t()
    torch.testing.assert_close(model.match(images).teacher, expected)
    assert model.eval().match(images).teacher is None  # only the training needs it
    losses = model.train().loss(images, [DataSample().set_gt_label(i) for i in range(3)])
    losses['loss_teacher'].backward()
    assert model.text_prompt.context.grad.abs().max() > 0
    assert all(p.grad is None for p in kept.parameters())
    assert set(model.state_dict()) == {'text_prompt.context'}
    assert not any('teacher' in n for n, _ in model.named_parameters())
    assert copy.deepcopy(model)._teacher[0] is kept


@pytest.mark.parametrize(
    'change, message',
    [
        (dict(classes=['a', 'b', 'c']), 'The teacher has 3 classes .a, ....*, the student 4'),
        (dict(text_prompt=dict(type='CoOp')), 'has a text_prompt, which would be random'),
        (
            dict(
                arch=dict(small_clip(), vision_cfg=dict(small_clip()['vision_cfg'], image_size=64))
            ),
            'takes images of 64x64, the student of 32x32',
        ),
        (
            dict(data_preprocessor=dict(mean=[0] * 3, std=[1] * 3, to_rgb=True)),
            'another normalisation of the images',
        ),
    ],
)
def test_teachers_that_do_not_fit(change, message):
    model = dict(dict(arch=small_clip(), pretrained=None, precision='fp64'), **change)
    with pytest.raises(ValueError, match=message):
        build('coop', head=dict(type='Distils'), teacher=dict(model=model))


@pytest.mark.parametrize('method', ['mmrl'])
def test_lower_blocks_run_once(method):
    """Below the first block with tokens, the frozen pass and the prompted
    pass are one."""
    model, ran = build(method).train(), []
    for i, block in enumerate(model.backbone.blocks):
        block.mlp.register_forward_pre_hook(lambda *_: None)
        block.ls_2.register_forward_hook(lambda *_, i=i: ran.append(i))
    model.match(torch.randn(2, 3, 32, 32))
    first = model.visual_prompt.constant_below
    assert first > 0
    depth = model.backbone.depth
    assert sorted(ran) == sorted([*range(first), *2 * list(range(first, depth))])

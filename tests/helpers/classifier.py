"""Prompt methods on a small random CLIP, and their check against the plain path."""

import copy
from pathlib import Path

import torch
import torch.nn.functional as F
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

import mmdpt.models  # noqa: F401
from helpers.plain import CLASSES, cosine_logits, encode_text, match, small_clip

COOP = dict(type='CoOp', num_tokens=4)


CAVPT = dict(type='CAVPT', num_tokens=3, top_k=2)


SENTENCES = str(Path(__file__).resolve().parents[1] / 'data' / 'sentences.json')

METHODS = dict(
    zeroshot=dict(),
    coop=dict(text_prompt=COOP),
    cocoop=dict(text_prompt=dict(type='CoCoOp', num_tokens=4, reduction=8)),
    vpt=dict(visual_prompt=dict(type='VPT', num_tokens=3)),
    shallow=dict(visual_prompt=dict(type='VPT', num_tokens=3, deep=False)),
    vlp=dict(
        text_prompt=COOP,
        visual_prompt=dict(type='VPT', num_tokens=3),
        head=dict(type='GuidedHead', guided_epochs=2),
    ),
    maple=dict(
        text_prompt=dict(type='DeepCoOp', num_layers=2, num_tokens=2, frozen_words='of a'),
        visual_prompt=dict(type='MaPLe'),
    ),
    promptsrc=dict(
        text_prompt=dict(type='DeepCoOp', num_layers=3, num_tokens=2),
        visual_prompt=dict(type='VPT', num_tokens=3, num_layers=2, pre_norm=True),
        head=dict(type='PromptSRCHead'),
    ),
    kgcoop=dict(text_prompt=COOP, head=dict(type='KgCoOpHead')),
    tcp=dict(
        text_prompt=dict(type='TCP', num_tokens=3, layers=[1, 2], weights=[1.0, 0.5]),
        head=dict(type='KgCoOpHead'),
    ),
    mmrl=dict(
        text_prompt=dict(type='RepresentationText', num_tokens=3, space_dim=24, layers=[2, 3]),
        visual_prompt=dict(type='RepresentationImage'),
        head=dict(type='MMRLHead'),
    ),
    mmrlpp=dict(
        text_prompt=dict(
            type='RepresentationText', num_tokens=3, space_dim=24, layers=[1, 3], rank=2, mix=0.6
        ),
        visual_prompt=dict(type='RepresentationImage'),
        head=dict(type='MMRLHead', rank=4),
    ),
    layer_norms=dict(tuning=dict(type='LayerNorms', first=dict(image=1))),
    skiptuning=dict(
        tuning=dict(type='UpperBlocks', first=1), head=dict(type='ClassSkippingHead', keep=0.75)
    ),
    coprompt=dict(
        text_prompt=dict(type='DeepCoOp', num_layers=2, num_tokens=2, frozen_words='of a'),
        visual_prompt=dict(type='MaPLe'),
        head=dict(type='CoPromptHead', sentences=SENTENCES, weight=0.5),
    ),
    prograd=dict(text_prompt=COOP, head=dict(type='ProGradHead')),
    dpt=dict(text_prompt=COOP, visual_prompt=CAVPT, head=dict(type='DPTHead', guided_epochs=2)),
    dpt_all=dict(
        text_prompt=COOP,
        visual_prompt=dict(type='CAVPT', num_layers='all', top_k='all'),
        head=dict(type='DPTHead', guided_epochs=2),
    ),
)


def build(method='dpt', seed=0, **options):
    init_default_scope('mmpretrain')
    torch.manual_seed(seed)
    return MODELS.build(
        dict(
            dict(
                type='PromptedCLIP',
                arch=small_clip(),
                pretrained=None,
                classes=CLASSES,
                precision='fp64',
            ),
            **{**copy.deepcopy(METHODS[method]), **options},
        )
    )


def samples(kinds=4, count=5):
    """Data samples of some classes, with second views."""
    draw = torch.Generator().manual_seed(3)
    found = [DataSample().set_gt_label(i % kinds) for i in range(count)]
    for sample in found:
        view = torch.randint(256, (3, 32, 32), generator=draw, dtype=torch.uint8)
        sample.set_field(view, 'img2')
    return found


def equals_the_plain_path(method, images, **options):
    """Logits, losses and gradients, against nothing shared or cached."""
    model = build(method, **options).train()
    filled = F.normalize(
        encode_text(model.text_tower, [p[0] for p in model.templates[0]().unpack()]), dim=-1
    )
    learnt = [p for p in model.parameters() if p.requires_grad]
    given = samples(getattr(model.head, 'always', 4))
    for epoch in (0, 5):
        model.head.set_epoch(epoch)
        results = []
        for path in (model.match, lambda x, s: match(model, x, filled, s)):
            found = path(images, given)
            torch.manual_seed(epoch)  # of what a loss draws
            losses = model.head.loss(found, given)
            result = [cosine_logits(found.image, found.text, found.scale)]
            if learnt:
                total, _ = model.parse_losses(losses)
                result += torch.autograd.grad(total.sum(), learnt)
            results.append(result)
        for fast, slow in zip(*results):
            torch.testing.assert_close(fast, slow, rtol=1e-9, atol=1e-9)

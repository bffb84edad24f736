"""Every method on every tower; a new method is one row in ``METHODS``."""

import io

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS

import mmdpt.engine  # noqa: F401
from helpers.classifier import METHODS as PROMPTS
from helpers.classifier import samples
from helpers.kept import space
from helpers.plain import CLASSES, small_clip

PARTS = dict(
    adapter=dict(head=dict(type='CLIPAdapterHead', ratio=0.4)),
    tip=dict(head=dict(type='TipAdapterHead', num_keys=8)),
    twosfs=dict(tuning=dict(type='LayerNorms'), head=dict(type='TextStartHead')),
    lora=dict(tuning=dict(type='LoRA', dropout=0.0)),
    promptkd=dict(
        visual_prompt=dict(type='VPT', num_tokens=3, num_layers=2, pre_norm=True),
        head=dict(type='PromptKDHead', size=24, weight=50.0, temperature=2.0),
        teacher=dict(
            model=dict(
                arch=dict(small_clip(layers=2, width=96), embed_dim=24),
                pretrained=None,
                precision='fp64',
                data_preprocessor=dict(mean=None, std=None),
            )
        ),
    ),
)

METHODS = {
    **{name: parts for name, parts in PROMPTS.items() if name != 'zeroshot'},
    **PARTS,
    'linear_probe': dict(head=dict(type='LinearProbeHead')),
    'gda': dict(head=dict(type='GDAHead')),
    'gda_new': dict(head=dict(type='GDAHead', num_support=16, num_nearest=4)),
    'lppp': dict(head=dict(type='LPPPHead')),
    'zs_lp': dict(head=dict(type='ZSLPHead')),
    'clap': dict(head=dict(type='CLAPHead', adaptive=True)),
    'crossmodal_lp': dict(head=dict(type='CrossModalHead')),
    'prolip': dict(head=dict(type='ProLIPHead')),
    'ape': dict(head=dict(type='APEHead', num_keys=8, channel_share=0.625)),
    'lora_dropout': dict(tuning=dict(type='LoRA', dropout=0.25)),
    'coop_lora': dict(text_prompt=dict(type='CoOp', num_tokens=4), tuning=dict(type='LoRA')),
}


TOWERS = dict(
    small=small_clip(),
    uneven=dict(  # widths, depths and activation differ
        embed_dim=48,
        quick_gelu=False,
        vision_cfg=dict(image_size=32, patch_size=16, width=96, layers=4, head_width=32),
        text_cfg=dict(context_length=40, vocab_size=49408, width=64, heads=2, layers=3),
    ),
)


RESNET = dict(
    embed_dim=32,
    quick_gelu=True,
    vision_cfg=dict(image_size=32, layers=[1, 1, 1, 1], width=16, patch_size=None),
    text_cfg=dict(context_length=77, vocab_size=49408, width=64, heads=2, layers=3),
)
TOWERS['resnet'] = RESNET


def leaves_the_image_alone(method):
    return not {'visual_prompt', 'tuning'} & set(METHODS[method])


def build(method, tower, precision, **options):
    init_default_scope('mmpretrain')
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type='PromptedCLIP',
            arch=TOWERS[tower],
            pretrained=None,
            precision=precision,
            data_preprocessor=dict(mean=None, std=None),
            **{'classes': CLASSES, **METHODS[method], **options},
        )
    )


def on_resnet(method):
    """Carries what leaves the image alone, and says what it cannot."""
    if method == 'prolip':
        with pytest.raises(ValueError, match='ProLIPHead learns the last projection of the image'):
            build(method, 'resnet', 'fp32')
        return
    if leaves_the_image_alone(method):
        return train_save_load_predict(method, 'resnet', 'fp32')
    part = METHODS[method].get('visual_prompt') or METHODS[method]['tuning']
    with pytest.raises(
        ValueError,
        match=f'{part["type"]} needs a vision trans'
        'former, but the image tower of custom is a ResNet',
    ):
        build(method, 'resnet', 'fp32')


def train_save_load_predict(method, tower, precision):
    model = build(method, tower, precision)
    model.head.set_epoch(0)
    if hasattr(model.head, 'fit'):
        model.head.fit(space(model))
    kind = 'ProGradOptimWrapper' if model.head.second_loss else 'OptimWrapper'
    optim = build_optim_wrapper(
        model,
        dict(
            type=kind,
            constructor='PromptOptimWrapperConstructor',
            # no weight decay: what moves has got a gradient
            optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0),
        ),
    )
    start = {n: t.clone() for n, t in model.state_dict().items()}
    frozen = [p.clone() for p in model.parameters() if not p.requires_grad]
    batch = dict(inputs=torch.randn(3, 3, 32, 32), data_samples=samples(count=3))
    for _ in range(2):
        logs = model.train().train_step(batch, optim)
        assert torch.isfinite(logs['loss'])
    moved = {n for n, t in model.state_dict().items() if not torch.equal(t, start[n])}
    learnt = {n for n, p in model.named_parameters() if p.requires_grad}
    running = {n for n in start if n.endswith(('running_mean', 'running_var'))}
    assert moved == learnt | running
    assert all(
        torch.equal(a, b)
        for a, b in zip(frozen, (p for p in model.parameters() if not p.requires_grad))
    )

    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    other = build(method, tower, precision)
    other.load_state_dict(torch.load(file, weights_only=False))
    scores = [torch.stack([s.pred_score for s in m.eval().val_step(batch)]) for m in (model, other)]
    assert torch.equal(*scores)
    torch.testing.assert_close(scores[0].sum(1), torch.ones(3).to(scores[0]))

import io
from collections import OrderedDict

import pytest
import torch
from helpers.classifier import COOP, build
from helpers.plain import CLASSES, about, small_clip
from mmengine.runner.checkpoint import load_state_dict as mmengine_load


def through_a_file(state):
    """Save and load as a file would, without allowing code."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def torch_load(model, state):
    model.load_state_dict(state)


@pytest.fixture(params=[torch_load, mmengine_load])
def load(request):
    """PyTorch's loader, and MMEngine's, which only warns by itself."""
    return request.param


def test_round_trip(load):
    model, other = build('dpt'), build('dpt')
    with torch.no_grad():
        for p in model.parameters():
            if p.requires_grad:
                p.add_(1)
    state = through_a_file(model.state_dict())
    assert set(state) == model.learnt_names
    load(other, state)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], value, rtol=0, atol=0)


def test_names_are_fixed_at_construction():
    model = build('dpt').requires_grad_(False)  # as an EMA copy is
    assert set(model.state_dict()) == model.learnt_names != set()


def test_identity_travels(load):
    state = through_a_file(build('coop').state_dict())
    identity = state._metadata['']['mmdpt']
    assert identity['classes'] == CLASSES
    assert set(identity['clip']) == {'arch', 'pretrained', 'fingerprint'}


@pytest.mark.parametrize(
    'classes, message',
    [
        (
            ['cat', 'dog', 'american_bulldog', 'ox'],
            "class 1 is 'Egyptian Mau' in the checkpoint and 'dog' in the model",
        ),
        (CLASSES[::-1], "class 0 is 'cat' in the checkpoint and 'ox'"),
        (
            CLASSES[:3],
            "4 classes and the model has 3; class 3 is 'ox' in the checkpoint and missing",
        ),
    ],
)
def test_other_classes(load, classes, message):
    state = build('coop').state_dict()
    with pytest.raises(ValueError, match=message):
        load(build('coop', classes=classes), state)


def test_other_clip_weights(load):
    state = build('coop').state_dict()
    model = build('coop', seed=1)
    before = model.text_prompt.context.detach().clone()
    with pytest.raises(ValueError, match='fit only the weights they were'):
        load(model, state)
    torch.testing.assert_close(model.text_prompt.context, before)


def test_other_shapes(load):
    state = build('coop').state_dict()
    model = build('coop')
    model.text_prompt = type(model.text_prompt)(about(model.text_tower, CLASSES), num_tokens=7)
    before = model.text_prompt.context.detach().clone()
    with pytest.raises(
        ValueError,
        match=r'text_prompt.context is \(4, 64\) in '
        r'the checkpoint, but \(7, 64\)',
    ):
        load(model, state)
    torch.testing.assert_close(model.text_prompt.context, before)


def test_missing_and_unexpected(load):
    coop, dpt = build('coop'), build('dpt')
    with pytest.raises(ValueError, match='lacks learnt tensors: visual_prompt'):
        load(dpt, coop.state_dict())
    with pytest.raises(ValueError, match='does not learn: visual_prompt'):
        load(coop, dpt.state_dict())
    with pytest.raises(ValueError, match='lacks learnt tensors'):
        load(coop, OrderedDict())


def test_without_identity_it_warns(caplog):
    import logging

    from mmengine.logging import MMLogger

    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    try:
        with caplog.at_level(logging.WARNING):
            build('coop').load_state_dict(dict(build('coop').state_dict()))
    finally:
        logger.removeHandler(caplog.handler)
    assert 'does not say for which classes' in caplog.text


def test_size_on_disk():
    """DPT on ViT-B/16 with 10 classes: about 1.1 M values, under 5 MB."""
    arch = small_clip(layers=12, width=64)
    arch['vision_cfg'].update(width=768, head_width=64)
    arch['text_cfg'].update(width=512, heads=8, layers=1)
    arch['embed_dim'] = 512
    model = build('dpt', arch=arch, classes=[f'class {i}' for i in range(10)], precision='fp32')
    # The test's method has fewer prompts than the published one.
    model = build_published(arch)
    values = sum(v.numel() for v in model.state_dict().values())
    assert 1.0e6 < values < 1.2e6
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    assert file.tell() < 5e6


def build_published(arch):
    from mmpretrain.registry import MODELS

    return MODELS.build(
        dict(
            type='PromptedCLIP',
            arch=arch,
            pretrained=None,
            classes=[f'class {i}' for i in range(10)],
            text_prompt=dict(COOP, num_tokens=16),
            visual_prompt=dict(type='CAVPT'),
            head=dict(type='DPTHead', guided_epochs=1),
        )
    )

"""Prompts carried over to other classes."""

import pytest
import torch
from helpers.classifier import build
from helpers.plain import CLASSES
from mmengine.logging import MMLogger
from mmengine.runner.checkpoint import load_state_dict as mmengine_load

LOADERS = [lambda model, state: model.load_state_dict(state), mmengine_load]
OTHER = ['dog', 'lynx', 'cat']


@pytest.fixture(params=LOADERS, ids=['torch', 'mmengine'])
def load(request):
    return request.param


def changed(method, **options):
    """A model whose learnt values are not those of another's start."""
    model = build(method, **options)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return model.eval()


@pytest.mark.parametrize('method', ['coop', 'dpt'])
def test_what_transfers(load, method, caplog):
    old, new = changed(method), build(method, classes=OTHER, transfer=True)
    before = new.state_dict()
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    load(new, old.state_dict())
    logger.removeHandler(caplog.handler)
    for name, value in new.state_dict().items():
        source = before if 'evidence.weight' in name else old.state_dict()
        assert torch.equal(value, source[name]), name
    assert 'trained for 4 classes (cat, ...), the model has 3 (dog' in caplog.text
    assert 'Transferred: text_prompt.context' in caplog.text
    left = 'visual_prompt.layers.0.evidence.weight' in caplog.text
    assert left == (method == 'dpt')


def test_prompts_mean_the_same_for_a_known_class(load):
    """A class that is among the old and the new: the same text feature."""
    old = changed('coop')
    new = build('coop', classes=OTHER, transfer=True).eval()
    load(new, old.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(
            new.text_features()[2], old.text_features()[0], rtol=1e-9, atol=0
        )


def test_prediction_needs_no_evidence(load):
    """Old classes in another order: the same scores, although the evidence
    was left out."""
    old = changed('dpt')
    new = build('dpt', classes=CLASSES[::-1], transfer=True).eval()
    load(new, old.state_dict())
    torch.manual_seed(1)
    images = torch.randn(3, 3, 32, 32, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(new(images).flip(1), old(images), rtol=1e-8, atol=1e-8)


def test_same_classes_lose_nothing(load):
    old, new = changed('dpt'), build('dpt', transfer=True)
    load(new, old.state_dict())
    assert all(torch.equal(v, old.state_dict()[k]) for k, v in new.state_dict().items())


def test_later_loads_are_complete_again(load):
    """A transfer does not loosen the check of the next checkpoint."""
    new = build('dpt', classes=OTHER, transfer=True)
    load(new, changed('dpt').state_dict())
    state = changed('dpt', classes=OTHER).state_dict()
    load(new, state)
    assert all(torch.equal(v, state[k]) for k, v in new.state_dict().items())
    del state['visual_prompt.layers.0.evidence.weight']
    with pytest.raises(ValueError, match='lacks learnt tensors'):
        load(new, state)


def test_class_specific_context_does_not(load):
    specific = dict(text_prompt=dict(type='CoOp', num_tokens=2, class_specific=True))
    old = build('zeroshot', **specific)
    new = build('zeroshot', classes=OTHER, transfer=True, **specific)
    with pytest.raises(ValueError, match='cannot carry class-specific'):
        load(new, old.state_dict())
    with pytest.raises(ValueError, match='set model.transfer=True'):
        load(build('zeroshot', classes=OTHER, **specific), old.state_dict())

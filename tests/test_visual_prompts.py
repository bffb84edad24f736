import pytest
import torch
from helpers.plain import encode_image, small_clip
from helpers.tools import ROOT

from mmdpt.models.clip.image_tower import ImageTower
from mmdpt.models.clip.load import load_clip
from mmdpt.models.part import ModelInfo
from mmdpt.models.prompts.class_aware import CAVPT
from mmdpt.models.prompts.vpt import VPT


@pytest.fixture(scope='module')
def tower():
    torch.manual_seed(0)
    return ImageTower(load_clip(small_clip(), None, 'fp64'))


@pytest.fixture
def images():
    return torch.randn(3, 3, 32, 32, dtype=torch.float64)


def build(cls, tower, num_classes=6, **options):
    prompt = cls(ModelInfo(tower, [str(i) for i in range(num_classes)]), **options)
    return prompt.double()


def test_unprompted_tower_equals_open_clip(tower, images):
    found = tower(tower.embed(images))
    torch.testing.assert_close(found.feature, tower.visual(images), rtol=1e-12, atol=1e-13)
    assert found.evidence is None


@pytest.mark.parametrize(
    'cls, options',
    [
        (VPT, dict(num_tokens=4)),
        (VPT, dict(num_tokens=4, deep=False)),
        (CAVPT, dict(num_tokens=4, top_k=3)),
        (CAVPT, dict(num_tokens=2, top_k=2, num_layers=2)),
        (CAVPT, dict(top_k=3, num_layers='all')),
    ],
)
def test_equals_the_plain_path(tower, images, cls, options):
    """Outputs and gradients, against all tokens through whole blocks."""
    prompt = build(cls, tower, **options)
    classes = torch.randn(3, prompt.top_k, 32, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(3, 32, dtype=torch.float64)
    results = []
    for path in (
        lambda: tower(tower.embed(images), prompt, classes)[0],
        lambda: encode_image(tower, images, prompt, classes)[0],
    ):
        prompt.zero_grad()
        classes.grad = None
        features = path()
        (features * weight).sum().backward()
        grads = [p.grad.clone() for p in prompt.parameters() if p.grad is not None]
        grads += [] if classes.grad is None else [classes.grad.clone()]
        results.append([features.detach(), *grads])
    assert len(results[0]) == len(results[1]) > 1
    for fast, slow in zip(*results):
        torch.testing.assert_close(fast, slow, rtol=1e-9, atol=1e-11)


def test_one_layer_for_all(tower):
    assert build(VPT, tower, num_tokens=4).tokens.shape == (3, 4, 64)
    assert build(VPT, tower, num_tokens=4, deep=False).tokens.shape == (1, 4, 64)
    prompt = build(CAVPT, tower, num_tokens=4, num_layers=1, top_k=2)
    assert prompt.tokens.shape == (2, 4, 64)
    assert len(prompt.layers) == 1


def test_no_gradient_through_the_keys(tower):
    """Class-aware prompts leave the image tokens that they read alone."""
    layer = build(CAVPT, tower, top_k=2).layers[0]
    tokens = torch.randn(1, 17, 64, dtype=torch.float64, requires_grad=True)
    classes = torch.randn(1, 2, 32, dtype=torch.float64, requires_grad=True)
    prompts, evidence = layer(tokens, classes)
    assert prompts.shape == (1, 2, 64) and evidence.shape == (1, 2, 6)
    (prompts.sum() + evidence.sum()).backward()
    assert tokens.grad is None
    assert classes.grad.abs().max() > 0


def test_attention_weights(tower):
    layer = build(CAVPT, tower, top_k=2).layers[0]
    query = torch.randn(2, 5, 64, dtype=torch.float64)
    attended, weights = layer.attend(query, torch.randn(2, 17, 64))
    assert attended.shape == (2, 5, 64) and weights.shape == (2, 5, 27)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 5, dtype=torch.float64))


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(top_k=7), "top_k must be a whole number from 1 to 6 .*lower top_k, or set 'all'"),
        (dict(top_k=0), 'top_k must be'),
        (dict(top_k=2, num_layers=0), 'num_layers must be .* from 1 to 3'),
        (dict(top_k=2, num_layers=4), 'the tower has 3 blocks'),
        (dict(top_k=2, num_layers='1'), "but is '1'"),
        (dict(top_k=2, num_tokens=0), 'num_tokens must be'),
        (dict(top_k=True), 'but is True'),
    ],
)
def test_bad_numbers(tower, options, message):
    with pytest.raises(ValueError, match=message):
        build(CAVPT, tower, **options)


def test_bad_vpt(tower):
    with pytest.raises(ValueError, match='num_tokens must be'):
        build(VPT, tower, num_tokens=0)


def test_wrong_image_size(tower):
    with pytest.raises(
        ValueError, match='takes images of 3x32x32, but got 3x48x48: set the size in the pipelines'
    ):
        tower.embed(torch.zeros(1, 3, 48, 48))


def test_all_blocks_and_all_classes(tower):
    prompt = build(CAVPT, tower, num_layers='all', top_k='all')
    assert len(prompt.layers) == tower.depth and prompt.top_k == 6
    assert prompt.tokens is None and 'tokens' not in prompt.state_dict()
    assert prompt.transfer([]) == {f'layers.{i}.evidence.weight' for i in range(tower.depth)}


def test_the_command_line_takes_all_and_no_other_word():
    from mmengine.config import Config

    from mmdpt.engine.options import check_options

    cfg = Config.fromfile(f'{ROOT}/configs/dpt/dpt_tiny_digits_16shot.py')
    for key in ('top_k', 'num_layers'):
        check_options(cfg, {f'model.visual_prompt.{key}': 'all'})
        with pytest.raises(
            ValueError, match=f"{key} must be a whole number or 'all', but is 'some'"
        ):
            check_options(cfg, {f'model.visual_prompt.{key}': 'some'})

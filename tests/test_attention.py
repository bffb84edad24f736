"""Attention as numbers, as a figure, as a hook and on the command line."""

import copy
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from helpers.classifier import build
from helpers.plain import CLASSES, small_clip, with_edit
from helpers.tools import refused, tool
from mmengine.runner import Runner
from mmpretrain.structures import DataSample
from PIL import Image
from torch import nn

from mmdpt.visualization import (
    AttentionVisualizationHook,
    ImageAttention,
    attention_maps,
    class_token_attention,
    draw_attention,
    hooks,
    patch_map,
    shares,
    to_array,
    visible_image,
)
from mmdpt.visualization.attention import _walk

TWO_LAYERS = dict(visual_prompt=dict(type='CAVPT', num_tokens=3, top_k=3, num_layers=2))
LORA = dict(tuning=dict(type='LoRA'), templates='a {}.')


@pytest.fixture
def images():
    torch.manual_seed(1)
    return torch.randn(2, 3, 32, 32)


def model_of(method, **options):
    return build(method, **options).eval()


@pytest.mark.parametrize('extra', [None, (3, 4), (1, 4)])
def test_weights_equal_torch(extra):
    """Against torch's own weights on the plain concatenated sequence."""
    block = model_of('vpt').backbone.blocks[-1]
    assert isinstance(block.attn, nn.MultiheadAttention)
    tokens = torch.randn(3, 17, 64, dtype=torch.float64)
    extra = None if extra is None else torch.randn(*extra, 64, dtype=torch.float64)
    ours = class_token_attention(block, tokens, extra)
    both = [tokens] if extra is None else [tokens, extra.expand(3, -1, -1)]
    normed = block.ln_1(torch.cat(both, dim=1))
    _, theirs = block.attn(normed, normed, normed, average_attn_weights=False)
    torch.testing.assert_close(ours, theirs[:, :, 0], rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(ours.sum(-1), torch.ones(3, 2, dtype=torch.float64))


def plain_walk(model, images, prompt=None, classes=None):
    """The twin: every token through every block whole; torch's weights of
    the last block (B, N + P), and the tokens that entered each block."""
    visual, entered = model.backbone.visual, []
    x = visual._embeds(images.double())
    count, staying = x.shape[1], x[:, :0]
    for depth, block in enumerate(model.backbone.blocks):
        entered.append(x)
        edit = None if prompt is None else prompt.at_block(depth, x, classes)
        entering = with_edit(edit, staying, visual.ln_pre)
        x = torch.cat([x, entering], dim=1)
        normed = block.ln_1(x)
        weights = block.attn(normed, normed, normed)[1][:, 0]
        x = block(x)
        staying = x[:, count:] if edit is None or edit.stays else staying
        x = x[:, :count]
    return weights, entered


@pytest.mark.parametrize(
    'method, options, extra',
    [
        ('dpt', {}, 2),
        ('dpt', TWO_LAYERS, 3),
        ('vpt', {}, 3),
        ('shallow', {}, 3),
        ('maple', {}, 2),
        ('promptsrc', {}, 3),
        ('coop', {}, None),
        ('cocoop', {}, None),
        ('zeroshot', {}, None),
    ],
)
@torch.no_grad()
def test_maps_equal_the_plain_path(images, method, options, extra):
    model = model_of(method, **copy.deepcopy(options))
    match, prompt = model.match(images), model.visual_prompt
    classes = None if match.class_ids is None else match.text[match.class_ids]
    frozen, _ = plain_walk(model, images)
    adapted, entered = plain_walk(model, images, prompt, classes)
    for i, found in enumerate(attention_maps(model, images)):
        np.testing.assert_allclose(found.frozen, frozen[i], rtol=1e-10)
        assert found.frozen.shape == (17,) and found.grid == (4, 4)
        if extra is None:
            assert found.adapted is None and found.class_aware is None
            continue
        assert found.adapted.shape == (17 + extra,)
        np.testing.assert_allclose(found.adapted, adapted[i], rtol=1e-10)
        assert (found.class_aware is None) == (method != 'dpt')
        for j, layer in enumerate(getattr(prompt, 'layers', ())):
            keys = torch.cat([entered[j - len(prompt.layers)][i], layer.tokens])
            scores = layer.query(layer.class_proj(classes[i])) @ layer.key(keys).t() / 32**0.5
            np.testing.assert_allclose(found.class_aware[j], scores.softmax(-1), rtol=1e-10)


@pytest.mark.parametrize('method', ['dpt', 'coop'])
@torch.no_grad()
def test_classes_and_probabilities(images, method):
    model = model_of(method)
    ours = model(images).softmax(-1).numpy()
    with model.zero_shot():
        frozen = model(images).softmax(-1).numpy()
    for i, found in enumerate(attention_maps(model, images)):
        np.testing.assert_allclose(found.probabilities, ours[i], rtol=1e-10)
        np.testing.assert_allclose(found.zero_shot, frozen[i], rtol=1e-10)
        order = list((-frozen[i]).argsort())
        assert list(found.ranks) == [1 + order.index(c) for c in found.class_ids]
        if method == 'dpt':
            assert list(found.ranks) == [1, 2]
        else:
            assert list(found.class_ids) == list((-ours[i]).argsort())
    short = attention_maps(model, images, top_k=1)[0]
    assert len(short.class_ids) == 1
    assert method == 'coop' or short.class_aware.shape == (1, 1, 27)


@torch.no_grad()
def test_the_recorded_pass_is_the_model_s(images):
    """What is drawn is what predicts, and looking changes nothing."""
    model = model_of('dpt')
    match = model.match(images)
    feature, entered = _walk(
        model, model.backbone.embed(images), model.visual_prompt, match.text[match.class_ids]
    )
    assert torch.equal(feature, match.image) and len(entered) == 3
    attention_maps(model, images)
    assert torch.equal(model.match(images).image, match.image)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.backbone.modules())


def test_low_rank_updates(images):
    """LoRA has no prompts, but another attention."""
    model = model_of('zeroshot', **copy.deepcopy(LORA))
    before = attention_maps(model, images)[0]
    np.testing.assert_array_equal(before.adapted, before.frozen)
    for parameter in model.tuning.parameters():
        nn.init.normal_(parameter, std=0.5)
    after = attention_maps(model, images)[0]
    np.testing.assert_array_equal(after.frozen, before.frozen)
    assert abs(after.adapted - before.adapted).max() > 1e-3


def test_calibrated(images):
    model = model_of('coop')
    plain, found = (attention_maps(model, images, temperature=t)[0] for t in (1.0, 3.0))
    with torch.no_grad():
        wanted = (model(images)[0] / 3).softmax(-1).numpy()
    np.testing.assert_allclose(found.probabilities, wanted, rtol=1e-5)
    assert found.probabilities.max() < plain.probabilities.max()
    np.testing.assert_array_equal(found.zero_shot, plain.zero_shot)


def test_half_precision(images):
    found = attention_maps(model_of('dpt', precision='bf16'), images)[0]
    for weights in (found.frozen, found.adapted, *found.class_aware[0]):
        assert weights.dtype == np.float32
        assert weights.sum() == pytest.approx(1, abs=1e-5)
    share = shares(found.adapted, found.grid)
    assert sum(share.values()) == pytest.approx(1, abs=1e-5) and min(share.values()) > 0


def resnet():
    clip = small_clip()
    clip['vision_cfg'] = dict(image_size=32, layers=[1, 1, 1, 1], width=16, patch_size=None)
    return build('coop', arch=clip)


def test_refusals(images):
    with pytest.raises(ValueError, match=r'in a FrozenTower \(custom\): .* not ResNet towers; use'):
        attention_maps(resnet(), images)
    with pytest.raises(ValueError, match='in a Identity: only'):
        attention_maps(nn.Identity(), images)
    with pytest.raises(ValueError, match='from 1 to 2 .*class-aware prompts for 2 .* but is 3'):
        attention_maps(model_of('dpt'), images, top_k=3)
    with pytest.raises(ValueError, match='from 1 to 4 .there are 4 classes.'):
        attention_maps(model_of('vpt'), images, top_k=0)


def test_the_image_is_what_the_network_saw():
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    model = build('zeroshot')
    bgr = torch.from_numpy(pixels[..., ::-1].copy()).permute(2, 0, 1)
    inputs = model.data_preprocessor(dict(inputs=[bgr]), False)['inputs']
    np.testing.assert_array_equal(visible_image(model.data_preprocessor, inputs[0]), pixels)


def test_patches_lie_as_in_the_image():
    """A change of one patch of the image changes that token alone."""
    clip = small_clip()
    clip['vision_cfg'].update(image_size=(16, 32))
    tower = build('zeroshot', arch=clip).backbone
    image = torch.zeros(1, 3, 16, 32)
    spot = image.clone()
    spot[:, :, 8:16, 24:32] = 1  # row 1, column 3 of 2 x 4
    changed = (tower.embed(spot) - tower.embed(image)).abs().sum(-1)[0]
    expected = np.zeros((2, 4), bool)
    expected[1, 3] = True
    found = patch_map(changed.detach().numpy(), tuple(tower.visual.grid_size))
    np.testing.assert_array_equal(found > 0, expected)


def toy_attention(grid=(2, 3), patch=4, classes=2, aware=True):
    """All attention on one patch; by default row 1, column 1 of 2 x 3."""
    weights = np.zeros(1 + grid[0] * grid[1] + 10)
    weights[1 + patch] = 1
    shares = np.full(20, 0.05)
    return ImageAttention(
        grid,
        np.arange(classes),
        np.arange(classes) + 1,
        shares,
        shares,
        weights[:-10],
        weights,
        np.stack([[weights] * classes]) if aware else None,
    )


def maps_of(figure):
    """Axes with an overlay."""
    return [axis for axis in figure.axes if len(axis.images) == 2]


@pytest.mark.parametrize('grid, patch', [((2, 3), 5), ((4, 2), 2)])
def test_orientation_and_aspect(grid, patch):
    """On the screen, the yellow patch is where it is in the image."""
    height, width = grid[0] * 16, grid[1] * 16
    figure = draw_attention(
        np.zeros((height, width, 3), np.uint8), toy_attention(grid, patch), ['a', 'b']
    )
    pixels = to_array(figure).astype(int)
    assert len(maps_of(figure)) == 4
    for axis in maps_of(figure):
        assert {tuple(i.get_extent()) for i in axis.images} == {(0, width, height, 0)}
        box = axis.get_window_extent()
        assert box.width / box.height == pytest.approx(width / height, rel=0.02)
        top, left = round(len(pixels) - box.y1), round(box.x0)
        inside = pixels[top + 3 : round(len(pixels) - box.y0) - 3, left + 3 : round(box.x1) - 3]
        rows, columns = np.nonzero(inside[..., 1] - inside[..., 2] > 60)  # yellow
        found = (rows.mean() / len(inside) * grid[0], columns.mean() / inside.shape[1] * grid[1])
        assert found == pytest.approx((patch // grid[1] + 0.5, patch % grid[1] + 0.5), abs=0.1)


@pytest.mark.parametrize(
    'classes, aware, axes',
    [(2, True, 4 + 1 + 5 + 1), (10, True, 4 + 1 + 10 + 1), (5, False, 4 + 1)],
)
def test_texts_are_whole_and_apart(classes, aware, axes):
    names = [f'long $class_{i}$ of aircraft' for i in range(20)]
    figure = draw_attention(
        np.zeros((32, 32, 3), np.uint8),
        toy_attention(classes=classes, aware=aware),
        names,
        'DSC_0000_a_very_long_name_of_a_file_20260101.jpg',
        label=3,
    )
    pixels = to_array(figure)
    assert len(figure.axes) == axes
    shown = [a for a in figure.axes if a.axison]
    texts = [
        t
        for a in shown
        for t in [
            a.title,
            a._left_title,
            a.xaxis.label,
            a.yaxis.label,
            *a.get_xticklabels(),
            *a.get_yticklabels(),
        ]
    ]
    texts += [t for a in shown if a.get_legend() for t in a.get_legend().get_texts()]
    texts += [part._suptitle for part in figure.subfigs if part._suptitle]
    texts = [t for t in texts if t.get_text().strip() and t.get_visible()]
    words = [t.get_text() for t in texts]
    assert '1. long $class_0$ of…' in words and 'label: long $class_3$ of…' in '\n'.join(words)
    boxes = [t.get_window_extent() for t in texts]
    for i, box in enumerate(boxes):
        assert 0 <= box.x0 and box.x1 <= pixels.shape[1], words[i]
        assert 0 <= box.y0 and box.y1 <= pixels.shape[0], words[i]
        assert not [w for w, other in zip(words[i + 1 :], boxes[i + 1 :]) if box.overlaps(other)]


class Photos(torch.utils.data.Dataset):
    metainfo = dict(classes=CLASSES)

    def __len__(self):
        return 5

    def __getitem__(self, i):
        image = torch.full((3, 32, 32), 40 * i, dtype=torch.uint8)
        return dict(inputs=image, data_samples=DataSample().set_gt_label(i % 4))


def runner_for(tmp_path, model, **hook):
    return Runner(
        model=model,
        work_dir=str(tmp_path),
        val_cfg=dict(),
        val_dataloader=dict(
            batch_size=2,
            num_workers=0,
            dataset=Photos(),
            collate_fn=dict(type='default_collate'),
            sampler=dict(type='DefaultSampler', shuffle=False),
        ),
        val_evaluator=dict(type='Accuracy'),
        default_scope='mmpretrain',
        experiment_name=tmp_path.name,
        log_level='ERROR',
        visualizer=dict(
            type='UniversalVisualizer',
            name=tmp_path.name,
            vis_backends=[dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')],
        ),
        custom_hooks=[dict(type='AttentionVisualizationHook', **hook)],
    )


def test_hook_writes_to_all_backends(tmp_path):
    """Three images of batches of two, as files and for TensorBoard."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    runner = runner_for(tmp_path, build('dpt'), num_images=3)
    runner.val()
    for backend in runner.visualizer._vis_backends.values():
        backend.close()
    files = sorted(tmp_path.rglob('vis_image/*.png'))
    assert [f.name for f in files] == [f'attention_{i}_0.png' for i in range(3)]
    assert cv2.imread(str(files[0])).std() > 10
    assert not np.array_equal(cv2.imread(str(files[0])), cv2.imread(str(files[2])))
    folder = next(tmp_path.rglob('events.out*')).parent
    events = EventAccumulator(str(folder)).Reload()
    assert sorted(events.Tags()['images']) == [f'attention_{i}' for i in range(3)]
    assert events.Images('attention_0')[0].width == cv2.imread(str(files[0])).shape[1]


def test_hook_refuses_before_the_run(tmp_path):
    with pytest.raises(ValueError, match='not ResNet towers'):
        runner_for(tmp_path, resnet()).val()
    with pytest.raises(ValueError, match='interval must be a whole number .* but is 0'):
        AttentionVisualizationHook(interval=0)
    with pytest.raises(ValueError, match='num_images must be'):
        AttentionVisualizationHook(num_images='all')


@pytest.mark.parametrize('epoch, main, drawn', [(4, True, 1), (5, True, 0), (4, False, 0)])
def test_hook_keeps_its_interval_and_the_main_process(monkeypatch, epoch, main, drawn):
    monkeypatch.setattr(hooks, 'is_main_process', lambda: main)
    calls, sample = [], Photos()[1]
    runner = SimpleNamespace(
        epoch=epoch,
        model=model_of('vpt'),
        visualizer=SimpleNamespace(add_image=lambda *a: calls.append(a)),
    )
    hook = AttentionVisualizationHook(interval=2, num_images=1)
    batch = dict(inputs=sample['inputs'][None], data_samples=[sample['data_samples']])
    for i in range(2):
        hook.after_val_iter(runner, i, batch)
    assert [(name, step) for name, _, step in calls] == [('attention_0', 4)] * drawn
    hook.before_val_epoch(runner)
    hook.after_val_iter(runner, 0, batch)
    assert len(calls) == 2 * drawn


def test_command_line(checkpoints, tmp_path, capsys):
    image, other = tmp_path / 'wide.png', tmp_path / 'b' / 'wide.png'
    Image.fromarray(np.arange(32 * 64 * 3, dtype=np.uint8).reshape(32, 64, 3)).save(image)
    tool('visualize_attention', checkpoints['dpt'], image, '--out', tmp_path / 'figures')
    assert Image.open(tmp_path / 'figures' / 'wide.png').size[0] == 1440
    tool(
        'visualize_attention',
        checkpoints['coop'],
        image,
        '--out',
        tmp_path / 'one.pdf',
        '--device',
        'cpu',
        '--top-k',
        3,
    )
    assert (tmp_path / 'one.pdf').read_bytes().startswith(b'%PDF')
    assert 'CoOp leaves the image tower as it is' in capsys.readouterr().out
    other.parent.mkdir()
    other.write_bytes(b'no image')
    name = 'visualize_attention'
    for arguments, words in (
        ((image, '--top-k', 9, '--device', 'cpu'), 'class-aware prompts for 5 classes'),
        ((image, '--out', 'x.jpg'), 'must end in .png or .pdf'),
        ((image, image, '--out', 'x.png'), 'one file, but there are 2 images'),
        ((image, other), 'drawn to attention/wide.png: draw them in separate'),
        ((tmp_path,), 'is a folder: give the images in it'),
        (('none.png',), 'none.png does not exist'),
        ((other,), 'does not decode'),
    ):
        assert words in refused(capsys, name, checkpoints['dpt'], *arguments)

"""Visual prompts on MMPretrain's VisionTransformer."""

import copy

import pytest
import torch
from helpers.stock_models import DEEP, SHALLOW, SMALL, plain_vit
from mmengine.runner import load_checkpoint
from mmengine.runner.checkpoint import _load_checkpoint_to_model
from mmpretrain.models import ImageClassifier
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

import mmdpt.models  # noqa: F401  (registers)

VARIANTS = dict(
    cls=dict(),
    featmap=dict(out_type='featmap'),
    avg=dict(out_type='avg_featmap', final_norm=False),
    raw=dict(out_type='raw'),
    no_cls=dict(out_type='raw', with_cls_token=False),
    no_cls_map=dict(out_type='featmap', with_cls_token=False),
    clip=dict(pre_norm=True),
    dinov2=dict(layer_scale_init_value=0.5, out_type='featmap'),
    swiglu=dict(layer_scale_init_value=0.5, layer_cfgs=dict(ffn_type='swiglu_fused')),
    stages=dict(out_indices=[0, 2], out_type='featmap'),
    below=dict(out_indices=1),
    below_cls=dict(out_indices=[0, 1], out_type='cls_token'),
    dropping=dict(drop_rate=0.5, drop_path_rate=0.5),
    frozen=dict(frozen_stages=3, out_type='avg_featmap'),
)


def prompted(plain, prompt=DEEP, **options):
    """The same with prompts."""
    model = MODELS.build(
        dict(type='PromptedVisionTransformer', prompt=prompt, **{**SMALL, **options})
    )
    _load_checkpoint_to_model(model, plain.state_dict())
    assert model.weights_loaded or prompt is None
    return model


def twin(plain, prompt, images):
    """Stock layers on concatenated tokens, every token carried whole."""
    caught = []
    handle = plain.layers[0].register_forward_pre_hook(
        lambda module, inputs: caught.append(inputs[0])
    )
    plain(images)
    handle.remove()
    (x,) = caught
    count, outs, extra = x.shape[1], [], None
    grid = [s // p for s, p in zip(images.shape[2:], plain.patch_embed.projection.kernel_size)]
    for i, layer in enumerate(plain.layers):
        if i < prompt.num_layers:
            extra = prompt.tokens[i].expand(len(x), -1, -1)
            if i == 0 and prompt.pre_norm:
                extra = plain.pre_norm(extra)
        x = layer(torch.cat([x, extra], dim=1))
        x, extra = x[:, :count], x[:, count:]
        if i == len(plain.layers) - 1 and plain.final_norm:
            x = plain.ln1(x)
        if i in plain.out_indices:
            outs.append(plain._format_output(x, grid))
        if i == max(plain.out_indices):
            break
    return outs


@pytest.mark.parametrize('variant', VARIANTS)
def test_without_prompt_it_is_the_plain_one(variant):
    options = VARIANTS[variant]
    plain = plain_vit(**copy.deepcopy(options))
    model = prompted(plain, None, **copy.deepcopy(options))
    model.eval()
    images = torch.randn(2, 3, 16, 16)
    found, wanted = model(images), plain(images)
    assert len(found) == len(wanted)
    assert all(torch.equal(a, b) for a, b in zip(found, wanted))
    assert model.state_dict().keys() == plain.state_dict().keys()
    assert [p.requires_grad for p in model.parameters()] == [
        p.requires_grad for p in plain.parameters()
    ]


@pytest.mark.parametrize(
    'prompt',
    [DEEP, SHALLOW, dict(type='VPT', num_tokens=2, num_layers=2, pre_norm=True)],
    ids=['deep', 'shallow', 'two'],
)
@pytest.mark.parametrize('variant', VARIANTS)
def test_equals_the_slow_twin(variant, prompt):
    """Outputs and gradients, in training mode; images of another size."""
    options = VARIANTS[variant]
    plain = plain_vit(**copy.deepcopy(options)).double()
    model = prompted(plain, prompt, **copy.deepcopy(options)).double()
    assert model.train() is model and model.prompt.training
    torch.nn.init.normal_(model.prompt.tokens)
    images = torch.randn(2, 3, 16, 24, dtype=torch.double)
    found, wanted = model(images), twin(plain, model.prompt, images)
    assert len(found) == len(wanted) == len(plain.out_indices)
    for a, b, c in zip(found, wanted, plain(images)):
        assert a.shape == c.shape
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)
        assert not torch.allclose(a, c)
    gradients = [
        torch.autograd.grad(sum(o.square().sum() for o in outs), model.prompt.tokens)[0]
        for outs in (found, wanted)
    ]
    torch.testing.assert_close(*gradients, rtol=1e-8, atol=1e-10)
    assert gradients[0].flatten(1).abs().sum(1).gt(0).all()


def test_only_prompts_learn_and_nothing_drops():
    model = prompted(plain_vit(drop_rate=0.5), drop_rate=0.5, drop_path_rate=0.5)
    model.train()
    assert [n for n, p in model.named_parameters() if p.requires_grad] == ['prompt.tokens']
    assert [n for n, m in model.named_modules() if m.training] == ['', 'prompt']
    assert set(model.state_dict()) == {'prompt.tokens'}
    assert set(copy.deepcopy(model).requires_grad_(False).state_dict()) == {'prompt.tokens'}


@pytest.mark.parametrize(
    'prompt, error',
    [
        (
            dict(type='CAVPT'),
            'CAVPT makes its tokens from text features, and '
            'PromptedVisionTransformer has none: use VPT here, or CAVPT in ',
        ),
        (dict(type='MaPLe'), 'MaPLe makes its tokens from text features'),
        (dict(type='ResNet'), 'ResNet is not a visual prompt'),
        (dict(type='VPT', num_tokens=0), 'num_tokens must be'),
        (dict(type='VPT', num_layers=4), 'the tower has 3 blocks'),
    ],
)
def test_refused(prompt, error):
    with pytest.raises(ValueError, match=error):
        MODELS.build(dict(type='PromptedVisionTransformer', prompt=prompt, **SMALL))


def test_list_of_init_cfg_is_refused():
    with pytest.raises(ValueError, match='random positional embedding'):
        MODELS.build(
            dict(
                type='PromptedVisionTransformer',
                prompt=DEEP,
                **SMALL,
                init_cfg=[dict(type='Pretrained', checkpoint='x')],
            )
        )


@pytest.fixture
def weights(tmp_path):
    """A checkpoint of a whole classifier, as the model zoo has them."""
    file = tmp_path / 'pretrained.pth'
    plain = plain_vit()
    state = {f'backbone.{k}': v for k, v in plain.state_dict().items()}
    torch.save(dict(state_dict={**state, 'head.fc.weight': torch.ones(1)}, meta={}), file)
    return str(file)


def classifier(checkpoint, prompt=DEEP, prefix='backbone', **options):
    init_cfg = checkpoint and dict(type='Pretrained', checkpoint=checkpoint, prefix=prefix)
    return MODELS.build(
        dict(
            type='ImageClassifier',
            backbone=dict(
                type='PromptedVisionTransformer',
                prompt=prompt,
                init_cfg=init_cfg,
                **{**SMALL, **options},
            ),
            head=dict(type='LinearClsHead', num_classes=4, in_channels=32),
        )
    )


def trained(checkpoint):
    """A classifier after one step of training."""
    model = classifier(checkpoint)
    model.init_weights()
    model.train()
    learnt = [p for p in model.parameters() if p.requires_grad]
    losses = model.loss(torch.randn(2, 3, 16, 16), [DataSample().set_gt_label(i) for i in (0, 3)])
    losses['loss'].backward()
    assert all(p.grad.abs().sum() > 0 for p in learnt)
    torch.optim.SGD(learnt, lr=0.5).step()
    return model


def save(model, folder):
    file = str(folder / 'learnt.pth')
    torch.save(dict(state_dict=model.state_dict(), meta={}), file)
    return file


def test_checkpoint_holds_what_is_learnt(weights, tmp_path):
    model = trained(weights)
    assert type(model) is ImageClassifier
    file = save(model, tmp_path)
    assert set(torch.load(file, weights_only=True)['state_dict']) == {
        'backbone.prompt.tokens',
        'head.fc.weight',
        'head.fc.bias',
    }
    again = classifier(weights)  # in a test nobody initialises it
    load_checkpoint(again, file)
    images = torch.randn(2, 3, 16, 16)
    model.eval(), again.eval()
    assert torch.equal(again(images), model(images))
    strict = classifier(weights)
    strict.load_state_dict(model.state_dict(), strict=True)
    strict.eval()
    assert torch.equal(strict(images), model(images))


def test_other_weights_are_refused(weights, tmp_path):
    file = save(trained(weights), tmp_path)
    with pytest.raises(
        ValueError,
        match='trained on ViT of 3 layers, width '
        '32, 4 heads, patches of 8 with weights '
        'pretrained.pth .*but the backbone is .*None',
    ):
        load_checkpoint(classifier(None), file)
    with pytest.raises(ValueError, match='lacks learnt tensors: prompt'):
        load_checkpoint(classifier(weights), save(torch.nn.Linear(2, 2), tmp_path))


def test_other_prompts_are_refused(weights, tmp_path):
    file = save(trained(weights), tmp_path)
    with pytest.raises(
        ValueError,
        match=r'prompt.tokens is \(3, 3, 32\) in '
        r'the checkpoint, but \(1, 3, 32\) in the model',
    ):
        load_checkpoint(classifier(weights, SHALLOW), file)


@pytest.mark.parametrize(
    'options, error',
    [
        (dict(prefix=None), "set prefix='backbone' in init_cfg"),
        (dict(patch_size=4), 'patch_embed.projection.weight'),
        (dict(layer_scale_init_value=1e-5), 'missing layers.0.attn.gamma1'),
    ],
)
def test_weights_that_do_not_fit(weights, options, error):
    with pytest.raises(ValueError, match=error):
        classifier(weights, **options).init_weights()


def test_positional_embedding_is_resized(weights):
    model = classifier(weights, img_size=32).backbone
    model.init_weights()
    plain = plain_vit(img_size=32)
    assert model.pos_embed.shape == plain.pos_embed.shape == (1, 17, 32)
    source = torch.load(weights)['state_dict']
    _load_checkpoint_to_model(plain, {k[9:]: v for k, v in source.items() if k[:3] == 'bac'})
    assert torch.equal(model.pos_embed, plain.pos_embed)


def test_weights_of_the_whole_classifier(weights):
    """As stock classifiers take them; then the fingerprint is of those."""
    model = classifier(None)
    before = model.backbone.identity()['fingerprint']
    load_checkpoint(model, weights)
    assert model.backbone.identity()['fingerprint'] != before
    other = classifier(weights)
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.backbone.pos_embed, model.backbone.pos_embed)

"""Towers beyond plain CLIP: EVA02, SigLIP, CLIPA, MobileCLIP and others."""

import builtins
import copy
import json
from importlib.util import find_spec

import pytest
import torch
import torch.nn as nn
from helpers.hf_towers import (
    clipa,
    mobileclip,
    shake,
    siglip,
    timm_clip,
    worldwide,
    write_tokenizer,
)
from helpers.matrix import METHODS, TOWERS
from helpers.matrix import build as build_method
from helpers.matrix import train_save_load_predict as train_save_load
from helpers.plain import CLASSES, about, edited, small_clip, with_edit
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS
from safetensors.torch import save_file

import mmdpt.models  # noqa: F401
from mmdpt.models import TemplatePrompt, TextTower
from mmdpt.models.clip.image_tower import build_image_tower
from mmdpt.models.clip.load import load_clip
from mmdpt.models.clip.padded_text import CLASSES_AT_ONCE
from mmdpt.models.clip.timm_tower import TimmTower

TEXTS = ['a photo of a cat.', 'Egyptian Mau', 'x']
TIMM = ('eva01', 'eva02', 'eva02_post', 'pe')
OTHERS = ('siglip', 'mobileclip', 'clipa', 'worldwide', 'custom_text')


class Configs(dict):
    """Configs by layout; those not there need what is not installed."""

    def __missing__(self, name):
        pytest.skip("the extra 'hf' (transformers) is not installed")


@pytest.fixture(scope='module')
def configs(tmp_path_factory):
    """Every layout's config, with tokenizers in a local folder."""
    found = Configs(
        mobileclip=mobileclip(),
        custom_text=dict(small_clip(), custom_text=True),
        **{name: timm_clip(name, 'map' if name == 'pe' else 'token') for name in TIMM},
    )
    if find_spec('transformers'):
        folder = tmp_path_factory.mktemp('tokenizers')
        t5 = write_tokenizer(folder / 't5')
        bert = write_tokenizer(folder / 'bert', '<s>')
        found.update(siglip=siglip(t5), clipa=clipa(bert), worldwide=worldwide(t5))
    TOWERS.update(found)
    return found


def load(config):
    torch.manual_seed(0)
    clip = load_clip(copy.deepcopy(config), None, 'fp64')
    shake(clip.model)
    return clip


def classifier(config, **parts):
    init_default_scope('mmpretrain')
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type='PromptedCLIP',
            arch=copy.deepcopy(config),
            pretrained=None,
            **dict(dict(classes=CLASSES, precision='fp64'), **copy.deepcopy(parts)),
        )
    )
    for tower in (model.backbone, model.text_tower):
        shake(tower)
    return model


@pytest.mark.parametrize('name', TIMM + OTHERS)
def test_unprompted_equals_open_clip(name, configs):
    clip = load(configs[name])
    images = torch.randn(3, 3, 32, 32, dtype=torch.float64)
    tower = build_image_tower(clip, 'VPT')
    ours = tower(tower.embed(images)).feature
    theirs = clip.model.encode_image(images)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    assert theirs.std() > 0.01 and tower.embed_dim == theirs.shape[1]


@pytest.mark.parametrize('name', TIMM + OTHERS)
def test_templates_equal_open_clip(name, configs):
    clip = load(configs[name])
    tower = TextTower(clip)
    texts = [f'a {c.replace("_", " ")}!' for c in CLASSES]
    with torch.no_grad():
        found = tower(TemplatePrompt(about(tower, CLASSES), 'a {}!')())[0]
        wanted = clip.model.encode_text(clip.tokenizer(texts))
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
    assert wanted.std(0).max() > 0.01


def slow_text(tower, prompts):
    """Each prompt by itself, padded, through open_clip's own blocks."""
    features = []
    for c, prompt in enumerate(prompts.unpack()):
        for one in prompt:  # an image's
            x = torch.stack(
                [
                    *one,
                    *[tower.token_embedding.weight[tower.padding]]
                    * (tower.context_length - len(one)),
                ]
            )[None]
            x = x + tower.positional_embedding
            at = dict(last=x.shape[1] - 1, first=0).get(tower.pool, len(one) - 1)
            for depth, block in enumerate(tower.blocks):
                edit, before = prompts.at_block(depth), x.shape[1]
                if edit is not None and edit.tokens.dim() == 3:
                    edit = edit._replace(tokens=edit.tokens[c])
                x = edited(x, edit, len(tower.start))
                at += (x.shape[1] - before) * (at >= len(tower.start))
                mask = None
                if tower.causal:
                    mask = torch.full((x.shape[1],) * 2, float('-inf')).triu(1)
                x = block(x, attn_mask=mask)
            features.append(tower.project(tower.ln_final(x[0, at])))
    return torch.stack(features).unflatten(0, (len(CLASSES), -1)).transpose(0, 1)


@pytest.mark.parametrize('method', ['coop', 'cocoop', 'maple'])
@pytest.mark.parametrize('name', OTHERS)
def test_learnt_text_equals_the_slow_twin(name, method, configs):
    model = classifier(configs[name], **METHODS[method])
    tower, image = model.text_tower, torch.randn(2, model.backbone.embed_dim)
    learnt = [p for p in model.text_prompt.parameters() if p.requires_grad]
    results = []
    for encode in (tower, lambda x: slow_text(tower, x)):
        found = encode(model.text_prompt(image))
        weight = torch.linspace(0, 1, found.numel()).reshape(found.shape)
        results.append([found, *torch.autograd.grad((found * weight).sum(), learnt)])
    for fast, slow in zip(*results):
        torch.testing.assert_close(fast, slow, rtol=1e-9, atol=1e-10)
    assert results[0][1].abs().max() > 1e-6


def test_whole_encoding_in_parts_and_with_checkpoints(configs):
    names = [f'cat {i}' for i in range(CLASSES_AT_ONCE + 3)]
    model = classifier(configs['siglip'], classes=names, **METHODS['coop'])
    whole = model.text_tower(model.text_prompt())
    model.text_tower.checkpointing = True
    again = model.text_tower(model.text_prompt())
    for x in (whole, again):
        assert x.requires_grad
    grads = [torch.autograd.grad(x.sum(), model.text_prompt.context)[0] for x in (whole, again)]
    torch.testing.assert_close(*grads)
    with torch.no_grad():
        torch.testing.assert_close(model.text_tower(model.text_prompt()), whole.detach())


def slow_image(tower, images, prompt, classes):
    """Prompts in front of the class token, as further unturned tokens."""
    trunk = tower.trunk
    x, rope = tower.embed(images), tower._rope()
    count, staying = x.shape[1], x[:, :0]
    npt = getattr(trunk.blocks[0].attn, 'num_prefix_tokens', 0)
    for depth, block in enumerate(trunk.blocks):
        edit = prompt.at_block(depth, x, classes)
        extra = with_edit(edit, staying, trunk.norm_pre)
        block.attn.num_prefix_tokens = npt + extra.shape[1]
        options = {} if rope is None else dict(rope=rope)
        x = block(torch.cat([extra, x], dim=1), **options)
        block.attn.num_prefix_tokens = npt
        outputs, x = x[:, :-count], x[:, -count:]
        staying = outputs if edit is None or edit.stays else outputs[:, : staying.shape[1]]
    return tower.visual.head(trunk.forward_head(trunk.norm(x)))


@pytest.mark.parametrize('method', ['vpt', 'shallow', 'promptsrc', 'maple', 'dpt'])
@pytest.mark.parametrize('name', [*TIMM, 'siglip'])
def test_prompted_image_equals_the_slow_twin(name, method, configs):
    model = classifier(configs[name], **METHODS[method])
    tower, prompt = model.backbone, model.visual_prompt
    assert isinstance(tower, TimmTower)
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    classes = torch.randn(2, 2, tower.embed_dim, dtype=torch.float64)
    learnt = [
        p
        for p in [*prompt.parameters(), *([model.text_prompt.context] if method == 'maple' else [])]
    ]
    results = []
    for run in (
        lambda: tower(tower.embed(images), prompt, classes)[0],
        lambda: slow_image(tower, images, prompt, classes),
    ):
        found = run()
        weight = torch.linspace(0, 1, found.numel()).reshape(found.shape)
        results.append(
            [found, *torch.autograd.grad((found * weight).sum(), learnt, allow_unused=True)]
        )
    for fast, slow in zip(*results):
        if fast is not None:
            torch.testing.assert_close(fast, slow, rtol=1e-9, atol=1e-10)
    assert (results[0][0] - tower(tower.embed(images))[0]).abs().max() > 1e-4


@pytest.mark.parametrize('method', METHODS)
@pytest.mark.parametrize('name', ['eva02', 'siglip'])
def test_methods(name, method, configs):
    """Each method works, or is refused by name and reason."""
    configs[name]
    if METHODS[method].get('tuning', {}).get('type') in ('LoRA', 'UpperBlocks'):
        with pytest.raises(
            ValueError,
            match="(LoRA updates|UpperBlocks tunes) .* of open_clip.*image tower are timm's",
        ):
            build_method(method, name, 'fp32')
    elif method == 'prolip':
        with pytest.raises(ValueError, match='has one of its own, not this TimmTower'):
            build_method(method, name, 'fp32')
    elif method.startswith('mmrl'):
        reason = (
            'which this image tower lacks'
            if method == 'mmrlpp'
            else 'RepresentationImage in a TimmTower does not give'
        )
        with pytest.raises(ValueError, match=reason):
            build_method(method, name, 'fp32')
    else:
        train_save_load(method, name, 'fp32')


def test_lora_of_the_text_tower_alone(configs):
    model = classifier(configs['siglip'], tuning=dict(type='LoRA', towers=('text',), dropout=0.0))
    images = torch.randn(2, 3, 32, 32)
    before = model.eval()(images)
    with torch.no_grad():
        for p in model.tuning.parameters():
            p.add_(0.1)
    assert (model(images) - before).abs().max() > 1e-3
    with model.zero_shot():
        torch.testing.assert_close(model(images), before)


def test_the_bias_of_siglip_cancels(configs):
    """open_clip adds one number to all logits: no probability changes."""
    clip = load(configs['siglip'])
    image = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    logits, _ = clip.model.get_logits(image, clip.tokenizer(TEXTS))
    bias = clip.model.logit_bias
    assert bias.item() < -5
    torch.testing.assert_close(logits.softmax(1), (logits - bias).softmax(1))


def test_frozen_towers_stay_in_evaluation_mode(configs):
    model = classifier(configs['eva02'], **METHODS['vpt']).train()
    assert model.visual_prompt.training
    assert not any(m.training for m in model.backbone.modules())


class Conv(nn.Module):
    """What timm's convolutional towers look like."""

    def __init__(self):
        super().__init__()
        self.trunk, self.image_size = nn.Conv2d(3, 32, 32), (32, 32)

    def forward(self, x):
        return self.trunk(x).flatten(1)


def test_other_towers_serve_text_methods(configs):
    clip = load(small_clip())
    clip.model.visual = Conv().double()
    tower = build_image_tower(clip)
    images = torch.randn(2, 3, 32, 32)
    assert tower(tower.embed(images))[0].shape == (2, tower.embed_dim)
    with pytest.raises(
        ValueError,
        match='VPT needs a vision transformer, but the image tower of custom is a Conv2d',
    ):
        build_image_tower(clip, 'VPT')


@pytest.mark.parametrize('name', ['eva02', 'siglip', 'custom_text'])
def test_weights_from_a_file(name, configs, tmp_path):
    clip = load_clip(copy.deepcopy(configs[name]), None)
    path = str(tmp_path / 'weights.safetensors')
    state = shake(clip.model).state_dict()
    assert any(key.startswith('text.') for key in state)
    save_file({k: v.contiguous() for k, v in state.items()}, path)
    loaded = load_clip(copy.deepcopy(configs[name]), path)
    images, texts = torch.randn(1, 3, 32, 32), clip.tokenizer(TEXTS)
    torch.testing.assert_close(loaded.model.encode_image(images), clip.model.encode_image(images))
    torch.testing.assert_close(loaded.model.encode_text(texts), clip.model.encode_text(texts))


def test_plain_weights_in_a_model_with_text_apart(configs, tmp_path):
    """The names of plain CLIP, as open_clip reads them, too."""
    clip = load_clip(small_clip(), None)
    path = tmp_path / 'plain.pt'
    torch.save(clip.model.state_dict(), path)
    loaded = load_clip(configs['custom_text'], str(path))
    texts = clip.tokenizer(TEXTS)
    torch.testing.assert_close(loaded.model.encode_text(texts), clip.model.encode_text(texts))


def test_tokenizer_option_and_file(configs, tmp_path):
    wanted = load_clip(configs['siglip'], None).tokenizer(TEXTS)
    folder = write_tokenizer(tmp_path / 'mine')
    config = siglip('google/no-such-tokenizer')
    for source in (folder, folder / 'tokenizer.json'):
        clip = load_clip(copy.deepcopy(config), None, tokenizer=str(source))
        assert torch.equal(clip.tokenizer(TEXTS), wanted)
    config['text_cfg']['hf_tokenizer_name'] = 'mine'  # beside the JSON
    (tmp_path / 'arch.json').write_text(json.dumps(config))
    clip = load_clip(str(tmp_path / 'arch.json'), None)
    assert torch.equal(clip.tokenizer(TEXTS), wanted)


def test_tokenizers_that_do_not_fit(configs, tmp_path, monkeypatch):
    configs['siglip']
    config = siglip('google/no-such-tokenizer')
    with pytest.raises(FileNotFoundError, match='give the folder of a token'):
        load_clip(config, None, tokenizer=str(tmp_path / 'nowhere'))
    (tmp_path / 'tokenizer.json').write_text('{')
    with pytest.raises(ValueError, match='holds no tokenizer that'):
        load_clip(config, None, tokenizer=str(tmp_path))
    with pytest.raises(ValueError, match="reads CLIP's byte pairs"):
        load_clip(small_clip(), None, tokenizer=str(tmp_path))
    clip = load_clip(siglip(write_tokenizer(tmp_path / 'ok'), vocab_size=50), None)
    with pytest.raises(ValueError, match='knows 50: it is the tokenizer of another model'):
        mmdpt.models.CoOp(about(TextTower(clip), ['zebra', 'yak']), num_tokens=2)

    def offline(*args, **kwargs):
        raise OSError('Network is unreachable')

    import transformers

    monkeypatch.setattr(transformers.AutoTokenizer, 'from_pretrained', offline)
    with pytest.raises(
        ConnectionError,
        match='no-such-tokenizer.*cannot be downloaded .*unreachable.*set model.tokenizer to',
    ):
        load_clip(config, None)


def test_without_transformers(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == 'transformers':
            raise ImportError('No module named transformers')
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, '__import__', without)
    with pytest.raises(ImportError, match=r"pip install 'mmdpt\[hf\]'"):
        load_clip('ViT-B-16-SigLIP', None)


@pytest.mark.parametrize(
    'arch, reason',
    [('coca_ViT-B-32', 'is a CoCa'), ('roberta-ViT-B-32', r'Hugging Face model \(roberta-base\)')],
)
def test_what_is_refused(arch, reason):
    with pytest.raises(ValueError, match=reason):
        load_clip(arch, None)

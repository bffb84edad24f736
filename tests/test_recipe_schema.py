"""A checkpoint names known parts and values; nothing in it is run, built or opened."""

import inspect
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import mmpretrain.datasets  # noqa: F401  registers the transforms
import pytest
import torch
from helpers.checkpoints import METHODS, saved
from helpers.tools import ROOT
from mmengine.config import Config
from mmpretrain.registry import MODELS, TRANSFORMS
from pydantic import ValidationError

from mmdpt.apis import PromptInferencer
from mmdpt.engine import CheckpointError, recipe_schema
from mmdpt.engine.entry import read_recipe
from mmdpt.engine.part_schema import AnyOf, schema_of
from mmdpt.engine.recipe import make_recipe
from mmdpt.models import CoOp
from mmdpt.models.part import Part
from mmdpt.utils.values import Share, Size

EVIL = "from pathlib import Path\nPath('hacked').write_text('run')\n"
TOWERS = dict(
    embed_dim=128,
    vision_cfg=dict(image_size=32, patch_size=8, width=192, layers=4, head_width=32),
    text_cfg=dict(context_length=77, vocab_size=914, width=128, heads=4, layers=3),
)


def towers(part, **more):
    return dict(TOWERS, **{part: dict(TOWERS[part], **more)})


def head(**options):
    return dict(type='SimilarityHead', **options)


HOSTILE = {
    'remote tokenizer': towers(
        'text_cfg', hf_tokenizer_name='./evil', tokenizer_kwargs=dict(trust_remote_code=True)
    ),
    'tokenizer': towers('text_cfg', hf_tokenizer_name='./evil'),
    'hub model': towers('text_cfg', hf_model_name='someone/evil'),
    'byte pairs': towers('text_cfg', tokenizer_kwargs=dict(bpe_path='/etc/passwd')),
    'timm from a hub': towers('vision_cfg', timm_model_name='hf-hub:someone/evil'),
    'timm from a folder': towers('vision_cfg', timm_model_name='local-dir:evil'),
    'timm weights': towers('vision_cfg', timm_model_name='resnet18', timm_model_pretrained=True),
    'other towers': dict(TOWERS, multimodal_cfg=dict()),
    'dtype': dict(TOWERS, cast_dtype='float16'),
    'wrapped': dict(model_cfg=TOWERS),
    'thick': towers('text_cfg', width=4096, layers=128),
    'infinite': towers('text_cfg', mlp_ratio=float('inf')),
    'json': 'evil.json',
    'hub': 'hf-hub:someone/evil',
    'folder': 'local-dir:./evil',
    'up': '../../evil',
    'unknown': 'ViT-Z-99',
    'list': ['mmdpt-tiny'],
}
SETTINGS = {
    'scope': {('model', '_scope_'): 'evil_scope'},
    'scope of a part': {('model', 'head'): head(_scope_='evil_scope')},
    'scope of a loss': {
        ('model', 'head'): head(loss=dict(type='CrossEntropyLoss', _scope_='evil_scope'))
    },
    'scope of a step': {('pipeline', 0, '_scope_'): 'evil_scope'},
    'scope of the normalisation': {
        ('model', 'data_preprocessor'): dict(type='ClsDataPreprocessor', _scope_='evil_scope')
    },
    'dotted': {('model', 'text_prompt', 'type'): 'evil_scope.Part'},
    'prefixed': {('model', 'text_prompt', 'type'): 'mmpretrain.CoOp'},
    'a tower': {('model', 'head'): dict(type='ImageTower', clip=None)},
    'no type': {('model', 'text_prompt'): dict(num_tokens=4)},
    'another loss': {('model', 'head'): head(loss=dict(type='SeesawLoss'))},
    'tokenizer': {('model', 'tokenizer'): './evil'},
    'a part for another': {('model', 'text_prompt'): dict(type='VPT')},
    'text for a number': {('model', 'text_prompt', 'num_tokens'): '4'},
    'many tokens': {('model', 'text_prompt', 'num_tokens'): 10**9},
    'nan': {('model', 'logit_scale'): float('nan')},
    'infinite weight': {('model', 'head'): dict(type='KgCoOpHead', weight=float('inf'))},
    'nan mean': {('model', 'data_preprocessor'): dict(mean=[float('nan')] * 3, std=[1.0] * 3)},
    'zero deviation': {('model', 'data_preprocessor'): dict(mean=[0.0] * 3, std=[0.0] * 3)},
    'huge mean': {('model', 'data_preprocessor'): dict(mean=[1e30] * 3, std=[1.0] * 3)},
    'two channels': {('model', 'data_preprocessor'): dict(mean=[0.0] * 2, std=[1.0] * 2)},
    'many templates': {('model', 'templates'): ['a {}.'] * 10**4},
    'a long template': {('model', 'templates'): ['a {}.' * 10**6]},
    'no template': {('model', 'templates'): []},
    'templates that are none': {('model', 'templates'): [dict(a=1)]},
    'own classes': {('model', 'classes'): dict(benchmark='Digits', data_root='/')},
    'weights of others': {('model', 'init_cfg'): dict(type='Pretrained', checkpoint='x.pth')},
    'no precision': {('model', 'precision'): 'fp1'},
    'reading step': {('pipeline', 0): dict(type='LoadImageFromFile', backend_args=dict(a=1))},
    'storage of a step': {('pipeline', 0, 'backend_args'): dict(backend='evil')},
    'large picture': {('pipeline', 1, 'scale'): 10**9},
    'no filter': {('pipeline', 1, 'interpolation'): 'evil'},
    'many steps': {('pipeline',): [dict(type='PackInputs')] * 10**5},
    'step in a step': {('pipeline', 2, 'pad_cfg'): dict(type='evil_scope.Pad')},
    'pipeline is no list': {('pipeline',): dict(type='PackInputs')},
    'more keys': {('extra',): 1},
    'version': {('version',): '1'},
}


@pytest.fixture
def trap(tmp_path, monkeypatch):
    """A folder with a module and a tokenizer that would write the file ``hacked``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    Path('evil_scope.py').write_text(EVIL)
    Path('evil').mkdir()
    Path('evil', 'code.py').write_text(EVIL)
    Path('evil', 'tokenizer_config.json').write_text(
        json.dumps(dict(auto_map=dict(AutoTokenizer=['code.Evil', None])))
    )
    Path('evil.json').write_text(json.dumps(HOSTILE['remote tokenizer']))
    saved('coop', 'good.pth')
    yield
    sys.modules.pop('evil_scope', None)


def changed(changes):
    checkpoint = torch.load('good.pth', weights_only=True)
    for (*path, last), value in changes.items():
        target = checkpoint['meta']['mmdpt']['recipe']
        for step in path:
            target = target[step]
        target[last] = value
    torch.save(checkpoint, 'evil.pth')


def is_refused(match='does not carry all that predicting needs'):
    start = time.perf_counter()
    with pytest.raises(CheckpointError, match=match) as caught:
        PromptInferencer('evil.pth', device='cpu')
    assert time.perf_counter() - start < 10
    assert len(str(caught.value)) < 600 and '\n' not in str(caught.value)
    assert not Path('hacked').exists() and 'evil_scope' not in sys.modules


def test_the_trap_works(trap):
    """What is tried below would run code if it reached a registry."""
    with pytest.raises(KeyError):
        MODELS.build(dict(type='Part', _scope_='evil_scope'))
    assert Path('hacked').exists()


@pytest.mark.parametrize('case', HOSTILE)
def test_architectures(trap, case):
    changed({('model', 'arch'): HOSTILE[case]})
    is_refused()


@pytest.mark.parametrize('case', SETTINGS)
def test_settings(trap, case):
    changed(SETTINGS[case])
    is_refused()


@pytest.mark.parametrize(
    'place', ['weights.pt', '/etc/passwd', 'good.pth', '~/x.pt', None, 'laion2b']
)
def test_weights_are_named_by_the_reader(trap, place):
    """No file that a checkpoint names is opened as CLIP's weights."""
    Path('weights.pt').write_bytes(b'PK')
    changed({('model', 'pretrained'): place})
    is_refused("needs CLIP's weights.*Here: --pretrained FILE")


def test_a_file_named_like_a_tag(trap):
    Path('openai').write_bytes(b'PK')
    changed({('model', 'arch'): 'ViT-B-16-quickgelu', ('model', 'pretrained'): 'openai'})
    is_refused("the file 'openai'")


def test_sizes_may_be_described(trap):
    """An architecture of plain sizes is as good as a name; its weights are the reader's."""
    from mmdpt import tiny_clip

    changed({('model', 'arch'): TOWERS, ('model', 'pretrained'): None})
    recipe = read_recipe(torch.load('evil.pth', weights_only=True)['meta'], 'evil.pth')
    assert recipe[0]['arch'] == TOWERS
    with pytest.raises(ValueError, match='token'):
        PromptInferencer('evil.pth', pretrained=tiny_clip.WEIGHTS, device='cpu')


def test_plain_dicts_come_back(trap):
    """What is validated is what is built, and equals what was written."""
    meta = torch.load('good.pth', weights_only=True)['meta']
    model, pipeline = read_recipe(meta, 'good.pth')
    assert model == meta['mmdpt']['recipe']['model'] and type(model['text_prompt']) is dict
    assert pipeline == meta['mmdpt']['recipe']['pipeline'] and type(pipeline[0]) is dict


def test_former_names_and_teachers(trap):
    """``lora`` was what the tuning was called; a teacher serves the training only."""
    changed(
        {
            ('model', 'lora'): dict(type='LoRA', rank=2),
            ('model', 'teacher'): dict(model=dict(arch='hf-hub:evil'), checkpoint='/etc/passwd'),
        }
    )
    model, _ = read_recipe(torch.load('evil.pth', weights_only=True)['meta'], 'evil.pth')
    assert model['tuning'] == dict(type='LoRA', rank=2)
    assert 'teacher' not in model and 'lora' not in model


def options(built):
    """Names that a constructor takes, and those of the bases it hands them on to."""
    found = set()
    for base in built.__mro__:
        if '__init__' not in vars(base):
            continue
        signature = inspect.signature(base.__init__).parameters
        found |= {n for n, p in signature.items() if p.kind is p.POSITIONAL_OR_KEYWORD}
        if not any(p.kind is p.VAR_KEYWORD for p in signature.values()):
            break
    return found - {'self', 'about', 'init_cfg', 'backend_args'}


def schemas():
    yield from AnyOf(Part).schemas().items()
    for name, schema in inspect.getmembers(recipe_schema, inspect.isclass):
        if schema.__module__ == recipe_schema.__name__ and 'type' in schema.model_fields:
            yield name, schema


@pytest.mark.parametrize('name, schema', list(schemas()))
def test_options_are_those_of_the_part(name, schema):
    if name in ('Model', 'Preprocessor'):
        return
    built = MODELS.get(name) or TRANSFORMS.get(name)
    assert set(schema.model_fields) - {'type'} == options(built)


class Hinted(CoOp):
    """A part as a user may write it."""

    def __init__(
        self,
        about,
        depth: int,
        weights: Sequence[float] = (),
        share: Share = 0.5,
        width: Size | None = None,
        init_cfg=None,
        **kwargs,
    ):
        super().__init__(about, **kwargs)


HINTED = dict(type='Hinted', depth=2)


@pytest.mark.parametrize(
    'options',
    [{}, dict(weights=[0.5, 1]), dict(share=1), dict(width=None), dict(position='front')],
    ids=str,
)
def test_hints_become_a_schema(options):
    config = dict(HINTED, **options)
    assert schema_of(Hinted)(**config).model_dump(exclude_unset=True) == config


@pytest.mark.parametrize(
    'options',
    [
        dict(type='CoOp'),
        dict(depth='2'),
        dict(depth=True),
        dict(depth=-1),
        dict(depth=10**9),
        dict(depth=None),
        dict(weights=0.5),
        dict(weights=[float('nan')]),
        dict(weights=[0.0] * 129),
        dict(share=1.5),
        dict(width=0),
        dict(position='elsewhere'),
        dict(init_words='x' * 1001),
        dict(about=None),
        dict(init_cfg=dict(type='Pretrained', checkpoint='/etc/passwd')),
    ],
    ids=str,
)
def test_what_the_hints_forbid_is_refused(options):
    with pytest.raises(ValidationError):
        schema_of(Hinted)(**dict(HINTED, **options))


def test_a_part_without_usable_hints_is_named():
    class Bare(CoOp):
        def __init__(self, about, depth=2):
            super().__init__(about)

    class Odd(CoOp):
        def __init__(self, about, function: Callable = print):
            super().__init__(about)

    for part, option in ((Bare, 'depth'), (Odd, 'function')):
        with pytest.raises(TypeError, match=rf'{part.__name__}\({option}\): no usable type hint'):
            schema_of(part)


@pytest.mark.parametrize('config', sorted(Path(ROOT, 'configs').glob('*/*_tiny_digits_16shot.py')))
def test_shipped_configs_have_a_recipe(config):
    cfg = Config.fromfile(config)
    if 'arch' not in cfg.model:
        return
    cfg.model.classes = cfg.dataset.name
    recipe = make_recipe(cfg)
    assert 'missing' not in recipe
    read_recipe(dict(mmdpt=dict(recipe=recipe)), 'x')


@pytest.mark.parametrize('method', METHODS)
def test_methods_predict(tmp_path, monkeypatch, method):
    monkeypatch.chdir(tmp_path)
    saved(method)
    found = PromptInferencer('method.pth', device='cpu')
    scores = found(torch.zeros(32, 32, 3, dtype=torch.uint8).numpy())[0]['pred_scores']
    assert scores.shape == (3,) and abs(scores.sum() - 1) < 1e-5

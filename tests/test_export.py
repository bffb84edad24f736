"""Exported files say what the model says, describe themselves, or do not exist."""

import json
import os.path as osp
import re
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers.matrix import METHODS, TOWERS, build, leaves_the_image_alone
from helpers.short_runs import ROOT, leaf
from helpers.tools import tool
from mmengine.dataset import Compose
from mmpretrain.registry import TRANSFORMS
from PIL import Image

from mmdpt.export import ExportedClassifier, ExportError, export, files, load_for_export
from mmdpt.export.check import check, expected, largest_difference, sample_images

FILES = ('maple', 'dpt', 'tip')  # by default, and zeroshot by the tool; the others are slow
EXPORTED = [m for m in ('zeroshot', *METHODS) if m != 'cocoop']
# in evaluation these are coop or lora
ALIKE = ('kgcoop', 'prograd', 'lora_dropout', 'coop_lora')


def learnt(method, tower='small', **options):
    """A model that is not where it started."""
    METHODS.setdefault('zeroshot', {})
    model = build(method, tower, 'fp32')
    if hasattr(model.head, 'fill'):
        model.head.fill(torch.randn(2, 8, model.backbone.embed_dim), torch.arange(8) % 4)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.1 * torch.randn_like(parameter)
    return model


def slow_unless(fast, cases):
    return [case if case in fast else pytest.param(case, marks=pytest.mark.slow) for case in cases]


@pytest.mark.parametrize(
    'method', slow_unless(set(EXPORTED) - {'zeroshot', *ALIKE, *FILES}, EXPORTED)
)
def test_torch_export(method):
    """The graph equals the model, also for batches that were not traced."""
    model = learnt(method)
    before = {n: t.clone() for n, t in model.named_parameters()}
    run = files.trace(ExportedClassifier(model)).module()
    assert max(largest_difference(model, run, (1, 3, 4)).values()) < 1e-5
    assert all(torch.equal(before[n], t) for n, t in model.named_parameters())
    with torch.no_grad():
        found = expected(model, sample_images(8, (32, 32)))
    assert found.std(0).max() > 1e-4  # so the images make a difference, ten times the allowed one


@pytest.mark.parametrize('method', slow_unless(FILES, EXPORTED))
def test_files(method, tmp_path):
    """Both, with 1e-4 on batches of 1, 2 and 5."""
    model = learnt(method)
    report = export(model, str(tmp_path / 'model'))
    assert sorted(p.name for p in tmp_path.iterdir()) == ['model.onnx', 'model.pt2']
    for found in report.values():
        assert list(found['differences']) == [1, 2, 5]
        assert max(found['differences'].values()) <= 1e-4
        assert found['bytes'] == osp.getsize(found['file'])
    weights = sum(p.numel() for p in model.backbone.parameters()) * 4
    assert report['onnx']['bytes'] < 1.6 * weights + 2e5  # without the text tower
    run = files.load_onnx(report['onnx']['file'])
    assert max(largest_difference(model, run, (7,)).values()) <= 1e-4


@pytest.mark.slow
@pytest.mark.parametrize('tower', set(TOWERS) - {'small'})
@pytest.mark.parametrize('method', EXPORTED)
def test_towers(method, tower, tmp_path):
    if tower == 'resnet' and method == 'prolip':
        pytest.skip('a ResNet has no last projection')
    if tower == 'resnet' and method != 'zeroshot' and not leaves_the_image_alone(method):
        pytest.skip('a ResNet takes no visual prompts')
    report = export(learnt(method, tower), str(tmp_path / 'model'))
    assert len(report) == 2


def test_resnet(tmp_path):
    model = learnt('coop', 'resnet')
    run = files.trace(ExportedClassifier(model)).module()
    assert max(largest_difference(model, run, (1, 3)).values()) < 1e-5


def test_fixed_batch(tmp_path):
    found = export(learnt('coop'), str(tmp_path / 'm'), ['torch'], batch=1)['torch']
    assert list(found['differences']) == [1]
    run = files.load_torch(found['file'])
    with pytest.raises(Exception, match='size'):
        run(torch.zeros(2, 3, 32, 32, dtype=torch.uint8))


def test_normalisation_is_inside():
    """RGB in; the model's own preprocessor, which reads BGR, agrees."""
    model = learnt('coop')
    preprocessor = model.data_preprocessor
    preprocessor._enable_normalize, preprocessor.to_rgb = True, True
    preprocessor.mean = torch.tensor([10.0, 20, 30]).reshape(3, 1, 1)
    preprocessor.std = torch.tensor([50.0, 60, 70]).reshape(3, 1, 1)
    images = sample_images(3, (32, 32))
    found = ExportedClassifier(model)(images)
    torch.testing.assert_close(found, expected(model, images))
    normalised = (images.float() - preprocessor.mean) / preprocessor.std
    torch.testing.assert_close(found, model(normalised).softmax(1))
    preprocessor.to_rgb = False
    torch.testing.assert_close(ExportedClassifier(model)(images), expected(model, images))
    assert (expected(model, images) - found).abs().max() > 1e-4


def test_a_wrong_file_is_not_left(tmp_path, monkeypatch):
    model = learnt('coop')
    monkeypatch.setitem(files.LOAD, 'torch', lambda path: lambda x: expected(model, x) + 2e-4)
    (tmp_path / 'model.pt2').write_text('old')
    with pytest.raises(ExportError, match='torch differs .* by up to 2.0e-04'):
        export(model, str(tmp_path / 'model'), ['torch'])
    assert [p.read_text() for p in tmp_path.iterdir()] == ['old']


def test_nothing_is_no_agreement():
    model = learnt('coop')
    bad = largest_difference(model, lambda x: expected(model, x) * float('nan'), (1,))
    with pytest.raises(ExportError):
        check('onnx', bad)
    with pytest.raises(ExportError, match=r'\(2, 3\) instead of \(2, 4\)'):
        largest_difference(model, lambda x: expected(model, x)[:, :3], (2,))


def test_refusals(tmp_path, monkeypatch):
    model = build('cocoop', 'small', 'fp32')
    with pytest.raises(ValueError, match='CoCoOp cannot be exported: its text features depend'):
        export(model, str(tmp_path / 'm'), ['torch'])
    with pytest.raises(ValueError, match="in bfloat16.*precision='fp32'"):
        export(build('coop', 'small', 'bf16'), str(tmp_path / 'm'), ['torch'])
    with pytest.raises(ValueError, match='only PromptedCLIP .* is a Linear'):
        ExportedClassifier(torch.nn.Linear(1, 1))
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    with pytest.raises(ImportError, match=r"onnxruntime.*'mmdpt\[export\]'"):
        export(model, str(tmp_path / 'm'))
    assert not list(tmp_path.iterdir())


def test_too_large_for_onnx(tmp_path):
    weight = torch.empty(2**29, device='meta')  # 2 GB that take no memory
    program = SimpleNamespace(state_dict=dict(weight=weight))
    with pytest.raises(ValueError, match='2.0 GB, .* file holds 2 at most: use --format torch'):
        files.save_onnx(program, str(tmp_path / 'm.onnx'), {})
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope='module')
def digits(tmp_path_factory):
    """Zero-shot on the built-in CLIP, exported by the tool."""
    folder = tmp_path_factory.mktemp('digits')
    tool(
        'export',
        '--config',
        leaf('zeroshot'),
        '--out',
        f'{folder}/',
        '--json',
        folder / 'report.json',
        '--time',
        1,
    )
    return folder / 'zeroshot_tiny_digits'


def test_metadata(digits):
    import onnxruntime

    session = onnxruntime.InferenceSession(f'{digits}.onnx')
    about = {k: json.loads(v) for k, v in session.get_modelmeta().custom_metadata_map.items()}
    extra = {'about.json': ''}
    torch.export.load(f'{digits}.pt2', extra_files=extra)
    assert json.loads(extra['about.json']) == about
    model = load_for_export(None, leaf('zeroshot')).model
    assert dict(classes=about['classes'], clip=about['clip']) == model.identity()
    assert (about['size'], about['batch'], about['checkpoint']) == ([32, 32], 'dynamic', None)
    assert np.allclose(about['mean'], model.data_preprocessor.mean.flatten())
    assert np.allclose(about['std'], model.data_preprocessor.std.flatten())
    assert [step['type'] for step in about['resize']] == ['ResizeEdge', 'CenterCrop']
    assert session.get_inputs()[0].shape == ['batch', 3, 32, 32]
    assert session.get_inputs()[0].type == 'tensor(uint8)'
    report = json.loads((digits.parent / 'report.json').read_text())
    assert set(report['milliseconds']) == {'eager', 'torch', 'onnx'}


def test_example_of_the_docs(digits, tmp_path):
    """Without mmdpt and torch, on a photo that must be resized and cropped."""
    text = open(osp.join(ROOT, 'docs', 'export.md')).read()
    code = re.search(r'```python\n(import json\n.*?)```', text, re.S).group(1)
    assert len(code.splitlines()) <= 14
    photo = sample_images(1, (61, 47))[0].permute(1, 2, 0).numpy()
    Image.fromarray(photo).save(tmp_path / 'photo.png')
    code = code.replace('model.onnx', f'{digits}.onnx').replace('photo.jpg', 'photo.png')
    code += "import sys\nassert not {'torch', 'mmdpt'} & set(sys.modules)\n"
    done = subprocess.run(
        [sys.executable, '-c', code], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    name, probability = done.stdout.split()

    model, pipeline, *_ = load_for_export(None, leaf('zeroshot'))
    load = Compose([TRANSFORMS.build(step) for step in pipeline])
    data = load(dict(img_path=str(tmp_path / 'photo.png')))
    scores = expected(model, data['inputs'][None].flip(1))[0]
    assert name == model.classes[scores.argmax()]
    assert float(probability) == pytest.approx(float(scores.max()), abs=1e-5)


def test_tool_refuses(tmp_path, capsys):
    """What is wrong, before anything is built."""
    for arguments, message in (
        (['--batch', '0'], '--batch must be dynamic or a number'),
        ([], 'without a checkpoint a config is needed'),
        ([tmp_path / 'none.pth'], 'no checkpoint file'),
        (['--config', leaf('coop')], 'text_prompt.context and more: give the checkpoint'),
    ):
        with pytest.raises(SystemExit):
            tool('export', *arguments, '--out', tmp_path / 'm')
        assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())

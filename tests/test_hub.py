"""MMPretrain's model hub and inferencers by our names."""

import importlib.util
import os
import os.path as osp
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.short_runs import ROOT, short_config, train
from mmpretrain import FeatureExtractor, ImageClassificationInferencer, get_model, list_models
from mmpretrain.apis import ImageRetrievalInferencer
from mmpretrain.apis.model import ModelHub
from mmpretrain.models import ImageToImageRetriever

import mmdpt
from mmdpt.datasets.digits import digit_images

COOP = 'coop_tiny_digits_16shot'


@pytest.fixture(scope='module')
def names():
    return mmdpt.register_models()


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp('hub')
    train(short_config('coop', folder, epochs=1))
    return str(folder / 'epoch_1.pth')


def generator():
    """tools/make_metafiles.py as a module."""
    path = osp.join(ROOT, 'tools', 'make_metafiles.py')
    spec = importlib.util.spec_from_file_location('make_metafiles', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_metafiles_are_up_to_date():
    for path, text in generator().files().items():
        assert path.read_text() == text, f'{path}: run python tools/make_metafiles.py'


def test_every_leaf_config_has_its_name(names):
    leaves = [
        p for p in Path(ROOT, 'configs').rglob('*.py') if not {'_base_', 'sweeps'} & set(p.parts)
    ]
    assert sorted(p.stem for p in leaves) == list(names) and len(names) > 90
    for name in names:
        entry = ModelHub._models_dict[name]
        assert Path(entry.config).stem == name and osp.isfile(entry.config)
        assert entry.weights is None and entry.results[0].task == 'Image Classification'
        assert not entry.data.get('check_errors')


def test_registering_again_does_nothing(names):
    assert mmdpt.register_models() is names
    assert 'resnet18_8xb32_in1k' in list_models('resnet18')


def test_only_measured_figures(names):
    """As README.md reports them."""
    readme = Path(ROOT, 'README.md').read_text()
    measured = {
        n: ModelHub._models_dict[n].results[0].metrics
        for n in names
        if ModelHub._models_dict[n].results[0].metrics
    }
    assert set(measured) == set(generator().MEASURED) and len(measured) == 5
    for metrics in measured.values():
        assert str(metrics['Top 1 Accuracy']) in readme


def test_without_index(tmp_path):
    from mmdpt import hub

    with pytest.raises(FileNotFoundError, match='model-index.yml is neither in .*incomplete'):
        hub.model_index(tmp_path / 'mmdpt')


def test_import_alone_offers_the_models():
    """In a process of its own: the others here have called register_models()."""
    code = (
        "import mmdpt, mmpretrain; print(mmpretrain.list_models('*dpt*')); "
        "print(type(mmpretrain.get_model('zeroshot_tiny_digits')).__name__)"
    )
    done = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert "'dpt_tiny_digits_16shot'" in done.stdout and 'PromptedCLIP' in done.stdout


def test_import_survives_a_conflict():
    code = (
        'from types import SimpleNamespace; from mmpretrain.apis import ModelHub; '
        "ModelHub._models_dict['dpt_tiny_digits_16shot'] = SimpleNamespace(filepath='x.yml'); "
        "import mmdpt; print('imported')"
    )
    done = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert 'imported' in done.stdout
    told = "not in MMPretrain's model hub: The model name dpt_tiny_digits_16shot is conflict"
    assert (done.stdout + done.stderr).count(told) == 1


def test_list_and_classify_by_name(names, checkpoint):
    assert list_models('dpt_tiny_digits_1') == ['dpt_tiny_digits_16shot', 'dpt_tiny_digits_1shot']
    assert COOP in ImageClassificationInferencer.list_models('coop')
    model = get_model(COOP, pretrained=checkpoint)
    infer = ImageClassificationInferencer(COOP, pretrained=checkpoint, device='cpu')
    assert torch.equal(infer.model.text_prompt.context, model.text_prompt.context)
    assert infer.classes == model.classes and infer.classes[3] == 'three'
    images = [np.repeat(np.repeat(i, 4, 0), 4, 1) for i in digit_images()[:3]]
    found = infer(images, batch_size=2)
    for result in found:
        assert result['pred_scores'].sum() == pytest.approx(1, abs=1e-5)
        assert result['pred_class'] == infer.classes[result['pred_label']]


def test_classes_without_checkpoint(names):
    """The model knows them; there is no dataset to ask."""
    infer = ImageClassificationInferencer('zeroshot_tiny_digits', device='cpu')
    (result,) = infer(digit_images()[1].repeat(4, 0).repeat(4, 1))
    assert result['pred_class'] in infer.classes and len(infer.classes) == 10


def test_transferred_classes_win(names, checkpoint):
    """Over those that the checkpoint's dataset_meta names."""
    numerals = [str(i) for i in range(10)]
    cfg = short_config('coop', 'unused', model__classes=numerals, model__transfer=True)
    assert ImageClassificationInferencer(cfg, pretrained=checkpoint).classes == numerals


def test_features(names, checkpoint):
    extract = FeatureExtractor(COOP, pretrained=checkpoint, device='cpu')
    image = digit_images()[0].repeat(4, 0).repeat(4, 1)
    ((feature,),) = extract(image)
    (bare,) = extract(image, stage='pre_logits')
    assert feature.shape == (extract.model.backbone.embed_dim,)
    assert torch.equal(feature, bare)


class ImageFeatures(torch.nn.Module):
    """The image encoder of a retriever, as docs/mmpretrain_tools.md has it."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, inputs):
        return self.model.extract_feat(inputs, stage='pre_logits')


def test_retrieval(names, checkpoint, tmp_path):
    import mmcv

    files = []
    for i, image in enumerate(digit_images()[:6]):
        files.append(str(tmp_path / f'{i}.png'))
        mmcv.imwrite(image.repeat(4, 0).repeat(4, 1), files[-1])
    model = get_model(COOP, pretrained=checkpoint)
    retriever = ImageToImageRetriever(
        ImageFeatures(model),
        prototype=torch.zeros(0),
        topk=3,
        data_preprocessor=model._config.data_preprocessor,
    )
    retriever._config = model._config
    retrieve = ImageRetrievalInferencer(retriever, prototype=files)
    (found,) = retrieve(files[4], topk=2)
    assert found[0]['sample_idx'] == 4 and found[0]['match_score'] == pytest.approx(1, abs=1e-5)
    assert found[1]['match_score'] < 1


def test_wheel_and_editable_install(tmp_path):
    """Both hold the .mim folder that OpenMMLab's tools look for."""
    source = tmp_path / 'mmdpt'
    listed = subprocess.run(
        ['git', 'ls-files', '-co', '--exclude-standard'], cwd=ROOT, capture_output=True, text=True
    )
    if listed.returncode:
        pytest.skip('needs a git checkout to know what belongs to the source')
    for name in listed.stdout.splitlines():
        if not name.startswith(('tests/', 'docs/')):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes(Path(ROOT, name).read_bytes())
    code = (
        'from setuptools import build_meta as b\n'
        f'print(b.build_wheel({str(tmp_path)!r}))\nb.build_editable({str(tmp_path / "e")!r})'
    )
    (tmp_path / 'e').mkdir()
    done = subprocess.run([sys.executable, '-c', code], cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    held = set(zipfile.ZipFile(next(tmp_path.glob('*.whl'))).namelist())
    wanted = [
        'model-index.yml',
        'configs/coop/metafile.yml',
        'tools/train.py',
        'configs/_base_/few_shot.py',
        f'configs/coop/{COOP}.py',
    ]
    assert {f'mmdpt/.mim/{name}' for name in wanted} <= held
    assert not any('__pycache__' in name for name in held)
    assert not any('parity' in name or name.endswith('speed.py') for name in held)
    mim = source / 'mmdpt' / '.mim'
    assert all((mim / name).is_file() for name in wanted)
    assert (mim / 'configs').is_symlink()
    assert found_from(tmp_path, tmp_path / 'e') == str(source / 'mmdpt' / '__init__.py')


def found_from(folder, installed):
    """str: Which mmdpt an editable install gives in the folder that holds the checkout."""
    (wheel,) = installed.glob('*.whl')
    zipfile.ZipFile(wheel).extractall(installed)
    code = (
        f'import site\nsite.addsitedir({str(installed)!r})\n'
        "import importlib.util\nprint(importlib.util.find_spec('mmdpt').origin)"
    )
    environment = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
    # -S: without the environment's own packages, among them perhaps this one
    done = subprocess.run(
        [sys.executable, '-S', '-c', code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()

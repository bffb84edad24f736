"""Settings of the whole test run."""

import gc
import os

import pytest

from mmdpt_command import wait_briefly

wait_briefly()  # before torch is imported
# several workers of pytest-xdist share the cores
if 'PYTEST_XDIST_WORKER' in os.environ:
    os.environ.setdefault('OMP_NUM_THREADS', '1')
pytest.register_assert_rewrite('helpers')


def pytest_collection_finish():
    """Leave what has been imported out of garbage collections.

    A full one takes a fifth of a second here; MMEngine asks for one when it packs a dataset.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope='session', autouse=True)
def laid_out_once():
    """Lay out the text of a config once; a training asks for it five times."""
    from mmengine.config import config

    if not hasattr(config, 'FormatCode'):  # the fork's, which does without
        yield
        return
    lay_out, known = config.FormatCode, {}

    def once(text, **style):
        if text not in known:
            known[text] = lay_out(text, **style)
        return known[text]

    config.FormatCode = once
    yield
    config.FormatCode = lay_out


@pytest.fixture
def config(tmp_path, monkeypatch):
    """A config file of the toy, in a fresh working folder."""
    from helpers.engine_toy import toy_config

    monkeypatch.chdir(tmp_path)
    cfg = toy_config('', report=True)
    cfg.pop('work_dir')
    cfg.custom_imports.imports = ['mmdpt', 'helpers.engine_toy']
    path = tmp_path / f'toy_{abs(hash(str(tmp_path)))}.py'
    cfg.dump(path)
    return path


@pytest.fixture(scope='module')
def checkpoints(tmp_path_factory):
    """Checkpoints as training leaves them."""

    import torch
    from helpers.tools import ROOT
    from mmengine.config import Config
    from mmpretrain.registry import MODELS

    from mmdpt.engine.recipe import make_recipe

    def save(method):
        folder = tmp_path_factory.mktemp(method)
        cfg = Config.fromfile(f'{ROOT}/configs/{method}/{method}_tiny_digits_16shot.py')
        cfg.model.classes = cfg.dataset.name
        model = MODELS.build(dict(cfg.model))
        meta = dict(mmdpt=dict(model.identity(), recipe=make_recipe(cfg)))
        torch.save(dict(state_dict=model.state_dict(), meta=meta), folder / 'epoch_1.pth')
        return folder / 'epoch_1.pth'

    return {method: save(method) for method in ('dpt', 'coop')}


@pytest.fixture
def browser():
    """Headless Chromium that keeps a record of what it asks for."""
    from helpers.browser import chromium

    driver = chromium()
    yield driver
    driver.quit()

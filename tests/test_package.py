"""Installation and import of the package."""

import json
import os
import os.path as osp
import subprocess
import sys

import pytest

import mmdpt

ROOT = osp.dirname(osp.dirname(osp.abspath(__file__)))
LAZY = ('open_clip', 'sklearn', 'scipy', 'timm', 'transformers')


def python(code, *options):
    """Runs code in a fresh interpreter; returns what ended."""
    environment = dict(os.environ, PYTHONPATH=ROOT)
    return subprocess.run(
        [sys.executable, *options, '-c', code], env=environment, capture_output=True, text=True
    )


def test_version_is_the_one_of_setup():
    assert mmdpt.__version__ == '0.1.0'
    shown = subprocess.run(
        [sys.executable, 'setup.py', '--version'], cwd=ROOT, capture_output=True, text=True
    )
    assert shown.stdout.strip().splitlines()[-1:] == [mmdpt.__version__], shown.stderr


@pytest.fixture(scope='module')
def imported():
    """An import of MMPretrain, then of mmdpt, with all warnings shown."""
    code = (
        'import json, sys, mmpretrain\n'
        'before = set(sys.modules)\n'
        'import mmdpt\n'
        'print(json.dumps(sorted(set(sys.modules) - before)))\n'
    )
    return python(code, '-W', 'always')


def test_import_is_light(imported):
    """Beyond MMPretrain, nothing slow is imported."""
    new = json.loads(imported.stdout.strip().splitlines()[-1])
    assert 'mmdpt.engine.schedule' in new
    assert [name for name in new if name.startswith(LAZY)] == []
    assert 'matplotlib.pyplot' not in new


def test_import_gives_no_warning_of_our_own(imported):
    assert imported.returncode == 0
    own = osp.join(ROOT, 'mmdpt') + os.sep  # not an environment in a checkout called mmdpt
    assert [line for line in imported.stderr.splitlines() if own in line] == []


def test_constraints_pin_torch_and_the_tests():
    with open(osp.join(ROOT, 'constraints.txt')) as file:
        pins = dict(line.strip().split('==') for line in file if not line.startswith('#'))
    assert pins['torch'] == '2.14.1' and pins['torchvision'] == '0.29.1'
    assert 'mmcv-lite' in pins and 'pytest' in pins


def test_runtime_config_names_registered_parts():
    from mmengine.config import Config
    from mmpretrain.registry import HOOKS

    cfg = Config.fromfile(osp.join(ROOT, 'configs', '_base_', 'runtime.py'))
    assert cfg.default_scope == 'mmpretrain' and cfg.custom_imports.imports == ['mmdpt']
    for hook in cfg.default_hooks.values():
        assert HOOKS.get(hook.type) is not None, hook.type

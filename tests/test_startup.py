"""What a command costs before it begins."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = str(Path(__file__).resolve().parents[1])
RUN = 'import sys, mmdpt_command\nsys.exit(mmdpt_command.main())'
BUILTIN = ['--classes', 'zero,one', '--arch', 'mmdpt-tiny', '--pretrained', 'mmdpt-tiny']


def cost(code, *arguments):
    """float: Processor time of a fresh interpreter, in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, '-c', code, *arguments],
        env={**os.environ, 'PYTHONPATH': ROOT},
        check=True,
        capture_output=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.slow
def test_predict_costs_little_more_than_its_imports(tmp_path):
    Image.new('RGB', (64, 64)).save(tmp_path / 'photo.png')
    photo = [RUN, 'predict', 'zero-shot', str(tmp_path / 'photo.png'), *BUILTIN]
    imports = 'import torch, open_clip'
    cost(imports), cost(*photo)  # files into memory
    pairs = [(cost(*photo), cost(imports)) for _ in range(3)]
    ratio = sorted(ours / theirs for ours, theirs in pairs)[1]
    print(f'predict on a photo: {ratio:.2f} times {imports}')
    assert ratio <= 1.2


@pytest.mark.slow
@pytest.mark.parametrize('arguments', [['--help'], ['train', '--help'], ['collect_results', '-h']])
def test_help_comes_at_once(arguments):
    assert min(cost(RUN, *arguments) for _ in range(3)) <= 0.5

"""Two real processes of torchrun that would not train the same."""

from pathlib import Path

import pytest
from helpers.tools import ROOT
from test_distributed import outcome, script

BASE = f'{ROOT}/configs/coop/coop_tiny_digits_16shot.py'
DIFFERENT = dict(
    rate=(
        'optim_wrapper = dict(optimizer=dict(lr={value}))',
        ('0.01', '0.5'),
        'optim_wrapper.optimizer.lr is 0.01 on rank 0 and 0.5 on rank 1',
    ),
    draw=(
        'train_dataloader = dict(dataset=dict(shots={value}))',
        ('2', '3'),
        'train_dataloader.dataset.shots is 2 on rank 0 and 3 on rank 1',
    ),
    prompts=(
        'model = dict(text_prompt=dict(num_tokens={value}))',
        ('4', '2'),
        'model.text_prompt.num_tokens is 4 on rank 0 and 2 on rank 1',
    ),
)


@pytest.mark.slow
@pytest.mark.parametrize('case', DIFFERENT)
def test_both_end_before_the_first_step(case, tmp_path, monkeypatch):
    """As where two machines have two versions of a config."""
    monkeypatch.chdir(tmp_path)
    line, values, words = DIFFERENT[case]
    for rank, value in enumerate(values):
        Path(f'rank{rank}.py').write_text(f"_base_ = ['{BASE}']\n{line.format(value=value)}\n")
    Path('mine.py').write_text("_base_ = ['rank' + __import__('os').environ['RANK'] + '.py']\n")
    options = ('--cfg-options', 'train_cfg.max_epochs=1', 'test_dataloader.dataset.indices=20')
    status, output = outcome(script('dist_train.sh', 'mine.py', 2, '--work-dir', 'out', *options))
    assert status != 0
    # the first process speaks for both, unless the other is too late to hear of it
    said = [line for line in output.splitlines() if line.startswith('error')]
    assert 1 <= len(said) <= 2, output
    for line in said:
        assert 'rank 1 of 2 would not train what the others do' in line and words in line
        assert line.endswith('Give all processes the same config, data, weights and software')
    assert not list(Path('out').rglob('*.pth'))

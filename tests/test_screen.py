"""What a training shows on the screen, and what is in the log file alone."""

import json
import logging
import os
import pty
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from helpers.short_runs import ROOT, short_config, train
from helpers.tools import tool
from mmengine.logging import MMLogger, print_log

from mmdpt.engine import screen

SHORT = [
    'coop_tiny_digits_16shot',
    '--cfg-options',
    'train_cfg.max_epochs=23',
    'train_dataloader.dataset.shots=1',
    'train_dataloader.num_workers=0',
    'train_dataloader.persistent_workers=False',
    'test_dataloader.dataset.indices=60',
    'val_dataloader.dataset.indices=60',
]
HIDDEN = ('System environment:', 'Config:', 'Hooks will be executed', 'Epoch(train)', 'Exp name')


def command(folder, *more):
    """list[str], dict: The arguments and the environment of a short training."""
    code = 'import sys, mmdpt_command\nsys.exit(mmdpt_command.main())'
    line = [sys.executable, '-c', code, 'train', *SHORT, '--work-dir', str(folder), *more]
    return line, {**os.environ, 'PYTHONPATH': ROOT, 'COLUMNS': '100', 'TERM': 'xterm-256color'}


@pytest.fixture(scope='module')
def piped(tmp_path_factory):
    """Path, str: The work directory, and what came out of both streams, into a pipe."""
    folder = tmp_path_factory.mktemp('quiet')
    line, environment = command(folder)
    done = subprocess.run(
        line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, done.stdout
    return folder, done.stdout


def test_a_training_prints_at_most_40_lines(piped):
    lines = piped[1].splitlines()
    assert len(lines) <= 40
    assert lines[0] == 'Training 1,024 values for 23 epochs on the CPU'
    assert lines[1] == 'Data: Digits, 1 shots, seed 1: 10 images of 10 classes, 60 for testing'
    assert lines[4].startswith('Zero-shot CLIP: accuracy/top1 ')
    assert [line.split('/')[0] for line in lines if '/23  loss ' in line] == [
        f'epoch {n:2}' for n in (1, 3, 5, 7, 10, 12, 14, 17, 19, 21, 23)
    ]
    assert lines[-8].startswith('Few-shot result: coop_tiny_digits_16shot, Digits')
    assert lines[-1].startswith('  predict: ')


def test_into_a_pipe_goes_plain_text(piped):
    assert [c for c in piped[1] if not c.isprintable() and c != '\n'] == []
    assert ' - mmengine - ' not in piped[1] and 'warning' not in piped[1].lower()


def test_the_log_file_has_the_rest(piped):
    folder, shown = piped
    (log,) = folder.glob('*/*.log')
    text = log.read_text()
    assert f'Details: {log} (--verbose shows them here)\n' in shown
    for words in HIDDEN:
        assert words in text and words not in shown
    told = [line for line in shown.splitlines() if not line.startswith('epoch ')]
    assert [line for line in told if line not in text] == []
    assert text.count('Epoch(train)') == 23 and 'accuracy_top-1: ' in text


def test_test_again_shows_the_figures(piped, capsys, tmp_path):
    """The command that the training ends with, whose config leaves the log to the file."""
    folder, shown = piped
    learnt = next(line for line in shown.splitlines() if line.startswith('  learnt: '))
    file = folder / f'{SHORT[0]}.py'
    tool('test', file, folder / 'epoch_23.pth', '--work-dir', tmp_path)
    assert learnt.removeprefix('  learnt: ') in capsys.readouterr().out.splitlines()


def test_a_test_prints_its_figures_alone(piped, capsys, tmp_path):
    """With the config that ships, too; all the rest is in the log file."""
    given = SHORT[0], piped[0] / 'epoch_23.pth', '--work-dir', tmp_path
    options = '--cfg-options', 'test_dataloader.dataset.indices=60'
    tool('test', *given, *options)
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) <= 5 and any(line.startswith('accuracy/top1 ') for line in shown)
    (log,) = tmp_path.glob('*/*.log')
    assert 'Config:' in log.read_text() and 'accuracy/top1' in log.read_text()
    tool('test', *given, '--verbose', *options)
    assert 'Config:' in capsys.readouterr().out


def test_no_step_no_warning(capsys, tmp_path):
    """GDA takes no step: there is neither a warm-up to warn of, nor a rate to schedule."""
    few = [*SHORT[3:], 'train_cfg.views=2', f'test_cfg.cache_dir={tmp_path}/features']
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter('always')
        tool('train', 'gda_tiny_digits_16shot', '--work-dir', tmp_path, '--cfg-options', *few)
    assert 'warning:' not in capsys.readouterr().out
    assert [str(w.message) for w in seen if 'scheduler' in str(w.message)] == []


def test_verbose_shows_all(tmp_path, capsys):
    tool('train', *SHORT, '--work-dir', tmp_path, '--verbose')
    shown = capsys.readouterr().out
    assert [words for words in HIDDEN if words not in shown] == []
    assert shown.count('Epoch(train)') == 23 and 'Details: ' not in shown


def test_a_bar_on_a_terminal(tmp_path):
    """The same lines above and below it, and the cursor is shown again."""
    line, environment = command(tmp_path)
    seen, owner = b'', pty.openpty()
    process = subprocess.Popen(line, env=environment, stdout=owner[1], stderr=owner[1])
    os.close(owner[1])
    try:
        while part := os.read(owner[0], 4096):
            seen += part
    except OSError:  # Linux: the other end is closed
        pass
    assert process.wait() == 0
    text = seen.decode()
    assert '23/23 epochs  loss ' in text and 'training accuracy ' in text and '0:00:00' in text
    assert text.rindex('\x1b[?25h') > text.rindex('\x1b[?25l')
    assert text.count('\n') <= 40 and 'Few-shot result: ' in text and '\nepoch ' not in text


def test_it_trains_the_same(tmp_path):
    """Quiet or not: the same numbers, and a training goes on as the other one."""
    states = {}
    for quiet in (False, True):
        folder = tmp_path / str(quiet)
        train(short_config('coop', folder, default_hooks__logger__quiet=quiet))
        states[quiet] = torch.load(folder / 'epoch_2.pth', weights_only=True)['state_dict']
    assert states[True].keys() == states[False].keys()
    again = dict(resume=True, load_from=str(folder / 'epoch_1.pth'))
    train(short_config('coop', folder, default_hooks__logger__quiet=False, **again))
    resumed = torch.load(folder / 'epoch_2.pth', weights_only=True)['state_dict']
    for name, value in states[True].items():
        assert torch.equal(value, states[False][name]) and torch.equal(value, resumed[name]), name


def test_mixed_labels_have_no_accuracy():
    head = SimpleNamespace(cal_acc=False, batch_accuracy=None)
    for mixed, wanted in ((object(), False), (None, True)):
        model = SimpleNamespace(head=head, data_preprocessor=SimpleNamespace(batch_augments=mixed))
        screen.measure_accuracy(model)
        assert head.cal_acc is wanted


@pytest.fixture
def logger():
    made = MMLogger.get_instance('test_screen', logger_name='mmengine')
    yield made
    MMLogger._instance_dict.pop('test_screen')


def test_what_is_worth_showing(logger, capsys):
    """Ours, a user's own, and warnings; nothing of MMEngine's, and no escape sequences."""
    screen.quieten(logger)
    assert [type(h) for h in logger.handlers] == [screen.ScreenHandler]
    print_log('a note', logger=logger)
    theirs = dict(__name__='mmengine.runner', log=logger, level=logging.WARNING)
    exec('log.info("of MMEngine")\nlog.warning("take\\x1b[2J care")', theirs)
    exec('log.warning(\'"FileClient" will be deprecated in future.\')', theirs)
    logger.error('broken')
    shown = capsys.readouterr().out
    assert shown.splitlines() == ['a note', 'warning: take\\x1b[2J care', 'error: broken']


def test_warnings_of_mmengine_to_itself_are_hidden():
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter('always')
        screen.hide_noise()
        warnings.warn('Setting MKL_NUM_THREADS environment variable for each process', stacklevel=1)
        warnings.warn('`broadcast_buffers` is deprecated.', FutureWarning, stacklevel=1)
        warnings.warn('another one', stacklevel=1)
    assert [str(warning.message) for warning in seen] == ['another one']


def test_few_lines_whatever_the_epochs(capsys):
    for begin, end in ((0, 1), (0, 3), (0, 10), (7, 9), (0, 1000)):
        runner = SimpleNamespace(epoch=begin, max_epochs=end, logger=SimpleNamespace(handlers=[]))
        progress = screen.TrainingProgress(runner)
        for epoch in range(begin, end):
            progress.add(dict(loss=torch.tensor(epoch + 0.25), loss_part=torch.tensor(1.0)))
            progress.show(epoch + 1)
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) <= 11
        assert lines[0].split()[:2] == ['epoch', f'{begin + 1}/{end}']
        assert lines[-1] == f'epoch {end}/{end}  loss {end - 0.75:.4f}  0:00 left'


def test_a_broken_training_gives_the_terminal_back(tmp_path):
    from mmdpt.engine.cli import build_runner
    from mmdpt.engine.interrupts import train_or_stop

    cfg = short_config('coop', tmp_path, default_hooks__logger__quiet=True)
    cfg.optim_wrapper.optimizer.lr = float('inf')
    runner = build_runner(cfg)
    with pytest.raises(FloatingPointError):
        train_or_stop(runner)
    (hook,) = [h for h in runner.hooks if type(h).__name__ == 'MainProcessLoggerHook']
    assert hook.quiet and hook.progress is None


def test_results_are_told_once(piped):
    assert piped[1].count('Few-shot result') == 1
    figures = json.loads((piped[0] / 'results.json').read_text())
    assert f'learnt: accuracy/top1 {figures["few_shot"]["accuracy/top1"]:.2f}' in piped[1]
    assert Path(figures['checkpoint']['path']).name == 'epoch_23.pth'


def test_a_shell_without_a_compiler_is_not_heard(capfd):
    """As on a machine without one: MMEngine asks for its version at each training."""
    with screen.silent_stderr():
        subprocess.run('no-such-compiler --version', shell=True)
    assert capfd.readouterr().err == ''
    subprocess.run('no-such-compiler --version', shell=True)
    assert 'no-such-compiler' in capfd.readouterr().err

"""What the command-line tools share.

The options and their meaning follow MMPretrain's ``tools/train.py`` and
``tools/test.py`` (Apache-2.0).
"""

import os
import os.path as osp
import sys
import traceback
from contextlib import contextmanager
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from mmdpt.datasets import innermost

from ..paths import find_config, spoken
from ..utils.text import visible
from .config_check import check_config
from .explain import explain, first_cause, without_worker
from .interrupts import Stopped, status_of, stop_signals
from .launch import (
    join_cpu_processes,
    leave,
    let_others_speak,
    lost_connection,
    number_process,
    place,
    whose,
)
from .options import check_options, with_suggestion

# What a user's mistake raises; everything else is a bug of ours, with its traceback.
USER_ERRORS = (ValueError, TypeError, KeyError, OSError, ImportError, FloatingPointError)


def load_config(args, under=''):
    """Config: The file of ``args.config``, or the shipped one of that name, with work directory,
    seed, launcher.

    Args:
        args (Namespace): The command line.
        under (str): The folder in the config's own work directory that a test works in: the
            Runner leaves its config there, not over that of the training.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    number_process(args.launcher)
    args.config = find_config(args.config)
    cfg = Config.fromfile(args.config)
    cfg.launcher = args.launcher
    if args.work_dir or not cfg.get('work_dir'):
        cfg.work_dir = args.work_dir or osp.join('work_dirs', Path(args.config).stem)
    if under and not args.work_dir:
        cfg.work_dir = osp.join(cfg.work_dir, under)
    if args.seed is not None:
        set_seed(cfg, args.seed)
    return cfg


def set_seed(cfg, seed):
    """Set the seed of the training and of the few-shot draw.

    Raises:
        ValueError: If it is negative.
    """
    if seed < 0:
        raise ValueError(f'--seed must not be negative, got {seed}')
    cfg.setdefault('randomness', {})['seed'] = seed
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        for dataset in innermost((cfg.get(name) or {}).get('dataset')):
            if 'seed' in dataset:
                dataset['seed'] = seed


def set_loader_defaults(cfg, names, **defaults):
    """Fill in MMPretrain's defaults of data loaders where the config is silent."""
    for name in names:
        if cfg.get(name) is not None:
            for key, value in defaults.items():
                cfg[name].setdefault(key, value)


def merge_options(cfg, options):
    """Check and apply ``--cfg-options``; see :func:`check_options`."""
    check_options(cfg, options)
    cfg.merge_from_dict(options)


def build_runner(cfg):
    """Runner: What the config describes.

    Raises:
        ValueError: If a setting does not exist; see :func:`check_config`.
    """
    check_config(cfg)
    if cfg.get('launcher', 'none') != 'none' and not torch.cuda.is_available():
        join_cpu_processes(cfg)
    return RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)


@contextmanager
def friendly_errors(debug=False, if_interrupted=''):
    """Print a user's mistake, or what can be done about a fault, and exit.

    The exit status is 1; after Ctrl-C it is 130, after SIGTERM 143. Of
    several processes the one that failed says which one it is; if all did,
    the first one speaks for them.

    Args:
        debug (bool): Whether to show the traceback, too.
        if_interrupted (str): What to say after Ctrl-C.
    """
    try:
        with stop_signals():
            yield
            leave()
    except Stopped as stop:
        _say(f'\n{stop}')
        sys.exit(stop.status)
    except KeyboardInterrupt as stop:
        _say(f'\ninterrupted{if_interrupted}')
        sys.exit(status_of(stop))
    except Exception as caught:
        error = first_cause(caught)
        let_others_speak(error)
        text = _text(error)
        if text is None:
            if place()[1] > 1:
                print(f'unexpected error{whose()}:', file=sys.stderr)
            raise
        if debug:
            traceback.print_exc()
        hint = '' if debug else '\n(--debug shows where it was raised)'
        shown = '\n'.join(map(visible, text.split('\n')))  # names from outside do nothing here
        print(f'error{whose()}: {shown}{hint}', file=sys.stderr)
        sys.exit(1)


def _text(error):
    """str | None: What to tell a user about an error; None if it is a bug of ours."""
    if lost_connection(error):
        return (
            'the connection to another process broke or timed out; the error of that process '
            f'is the cause\n{error}'
        )
    text = explain(error)
    if text is None and isinstance(error, USER_ERRORS):
        text = error.args[0] if isinstance(error, KeyError) and error.args else error
        text = with_suggestion(without_worker(str(text)))
    return text and spoken(text)


def _say(text):
    if place()[0] == 0:
        print(text, file=sys.stderr)

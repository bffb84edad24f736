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
from typing import Any

import torch
from mmengine.config import Config, DictAction
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


class OptionAction(DictAction):
    """MMEngine's ``KEY=VALUE`` options, but text keeps its spaces.

    The stock action drops them and cuts at commas: ``a photo of a {}.`` would
    come out as ``aphotoofa{}.``.
    """

    @staticmethod
    def _parse_iterable(val):
        if ' ' in val.strip() and val.strip()[:1] not in '[(':
            return val
        return DictAction._parse_iterable(val)

    def __call__(self, parser, namespace, values, option_string=None):
        """Read all pairs; what cannot be read is an error of the command line."""
        for pair in values or ():
            try:
                super().__call__(parser, namespace, [pair], option_string)
            except (ValueError, IndexError, AssertionError, RecursionError) as error:
                what = (
                    'it has no "="'
                    if '=' not in pair
                    else 'its brackets do not match'
                    if isinstance(error, AssertionError)
                    else 'lists and tuples may be nested, dicts cannot be given'
                )
                parser.error(
                    f'{option_string}: cannot read {pair[:100]!r}: {what}. For parts of '
                    'a dict write one KEY.PART=VALUE for each, or change the config'
                )


CFG_OPTIONS: dict[str, Any] = dict(
    nargs='+', action=OptionAction, default={}, metavar='KEY=VALUE'
)  # of --cfg-options
PRETRAINED: dict[str, Any] = dict(
    metavar='FILE',
    help="CLIP's weights: a file, or a tag of open_clip; by default those of the training",
)


def add_common_arguments(parser):
    """Add the arguments that both tools have."""
    parser.add_argument(
        '--work-dir',
        help='folder for logs and results; by default the one that '
        'the config names, else work_dirs/CONFIG_NAME (of a test: its subfolder '
        'test)',
    )
    parser.add_argument('--seed', type=int, help='seed of the few-shot draw and of the training')
    parser.add_argument(
        '--cfg-options',
        **CFG_OPTIONS,
        help='override settings of the config, for example train_cfg.max_epochs=10 or key="[a,b]"',
    )
    parser.add_argument(
        '--no-pin-memory', action='store_true', help='do not pin the memory of loaded batches'
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='how several processes were launched',
    )
    parser.add_argument('--debug', action='store_true', help='show the full traceback of an error')
    # torch.distributed.launch passes it; torchrun sets LOCAL_RANK instead
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


def load_config(args):
    """Config: The file of ``args.config``, or the shipped one of that name, with work directory,
    seed, launcher.

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

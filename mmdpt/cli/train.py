"""Train a model.

The command line: arguments/train.py.
"""

import os.path as osp
from contextlib import nullcontext

import torch
from mmengine.runner import Runner

from ..engine import CheckpointError, for_runner, latest_checkpoint, read_checkpoint
from ..engine.checkpoint import others
from ..engine.checkpoint_hook import PromptCheckpointHook
from ..engine.cli import (
    build_runner,
    friendly_errors,
    load_config,
    merge_options,
    set_loader_defaults,
)
from ..engine.interrupts import train_or_stop
from ..engine.launch import place
from ..engine.screen import hide_noise, leave_log_to_file
from ..sweep.named import named_config
from ..utils.locks import lock_work_dir
from .arguments.train import parse_args

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def configure(args):
    """Config: The file, changed by the command line."""
    args.config = named_config(args.config)
    cfg = load_config(args)
    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    if args.amp:
        use_amp(cfg)
    if args.auto_scale_lr:
        if 'auto_scale_lr' not in cfg:
            raise ValueError(
                '--auto-scale-lr needs auto_scale_lr=dict(base_batch_size=N) in the '
                'config: the batch size that its learning rate is meant for'
            )
        cfg.auto_scale_lr.enable = True
    set_loader_defaults(
        cfg, LOADERS, collate_fn=dict(type='default_collate'), pin_memory=torch.cuda.is_available()
    )
    for name in LOADERS:
        if cfg.get(name) is not None:
            workers = cfg[name].get('num_workers', 0)
            cfg[name].setdefault('persistent_workers', workers > 0)
            if args.no_persistent_workers:
                cfg[name].persistent_workers = False
            if args.no_pin_memory:
                cfg[name].pin_memory = False
    leave_log_to_file(cfg, not args.verbose)
    merge_options(cfg, args.cfg_options)
    if args.resume or args.resume_with_changes:
        resume_from(cfg, args.resume or 'auto')
    elif cfg.get('load_from') and osp.exists(osp.expanduser(cfg.load_from)):
        read_checkpoint(cfg.load_from)
        cfg.load_from = for_runner(cfg.load_from)
    return cfg


def use_amp(cfg):
    """Switch to mixed precision.

    PromptedCLIP then holds its frozen towers in bfloat16 and computes in it,
    what it learns staying in single precision; a GPU without bfloat16 takes
    half precision with loss scaling. Other models train under MMEngine's
    AmpOptimWrapper.

    Raises:
        ValueError: For other models without a GPU, and with an optimizer wrapper
            that has no form with loss scaling.
    """
    gpu = torch.cuda.is_available()
    if cfg.model.type == 'PromptedCLIP':
        cfg.model.precision = 'bf16'
        if not gpu or torch.cuda.is_bf16_supported():
            return
        cfg.model.precision = 'fp16'
    elif not gpu:
        raise ValueError('--amp needs a GPU for this model, and torch finds none: leave it out')
    kind = cfg.optim_wrapper.get('type', 'OptimWrapper')
    if kind not in ('OptimWrapper', 'AmpOptimWrapper'):
        raise ValueError(f'--amp on this GPU needs loss scaling, which {kind} lacks: leave it out')
    cfg.optim_wrapper.type = 'AmpOptimWrapper'
    cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')


def resume_from(cfg, which):
    """Point the config to the checkpoint to go on from, after reading it.

    Raises:
        FileNotFoundError, CheckpointError: If it cannot be used.
    """
    path = latest_checkpoint(cfg.work_dir) if which == 'auto' else which
    if path is None:
        print(f'no checkpoint in {cfg.work_dir} yet: training starts at the beginning')
        return
    try:
        read_checkpoint(path)
    except CheckpointError as error:
        found = others(path)
        if which == 'auto' and found:
            raise CheckpointError(f'{error}: there is {found[0]} (--resume {found[0]})') from error
        raise
    cfg.resume, cfg.load_from = True, for_runner(path)


def allow_changes(runner: Runner) -> None:
    """Let a training go on with other settings.

    Not a setting of the config, which would be kept beside the checkpoints
    and hold for ever.

    Raises:
        ValueError: If nothing in the config compares or notes them.
    """
    hooks = [hook for hook in runner.hooks if isinstance(hook, PromptCheckpointHook)]
    if not hooks:
        raise ValueError(
            '--resume-with-changes needs default_hooks.checkpoint.type=PromptCheckpointHook, '
            'which notes them'
        )
    hooks[0].allow_changes = True


def main(argv: list[str] | None = None) -> None:
    """Train a model."""
    args = parse_args(argv)
    if not args.verbose:
        hide_noise()
    with friendly_errors(args.debug):
        cfg = configure(args)
        # before the Runner, which writes logs and the config; the first process for all
        with lock_work_dir(cfg.work_dir) if place()[0] == 0 else nullcontext():
            runner = build_runner(cfg)
            if args.resume_with_changes:
                allow_changes(runner)
            train_or_stop(runner)

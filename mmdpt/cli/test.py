"""Test a model.

The command line: arguments/test.py.
"""

from contextlib import ExitStack
from copy import deepcopy

import mmengine
import torch
from mmengine.config import ConfigDict
from mmengine.dist import is_main_process
from mmengine.evaluator import DumpResults

from mmdpt.utils.unwrap import unwrapped

from ..engine import for_runner, read_checkpoint
from ..engine.cli import (
    build_runner,
    friendly_errors,
    load_config,
    merge_options,
    set_loader_defaults,
)
from ..engine.collect_predictions import collect_predictions
from ..engine.screen import hide_noise, is_quiet, leave_log_to_file
from ..models.learnt_state import check_tensors
from ..sweep.named import named_config
from ..utils.files import replacing, write_atomically, write_text
from ..utils.outputs import Output, check_outputs, kind_of
from .arguments.test import parse_args
from .kept_predictions import keep_predictions, tested_training
from .transductive import check_transductive, tell_transductive


def what_to_write(args):
    """str | None: 'metrics' or 'pred'.

    Raises:
        ValueError: If the options do not fit.
    """
    if args.out is None:
        if args.out_item:
            raise ValueError('--out-item says what to write: add --out FILE')
        return None
    item = args.out_item or ('pred' if args.out.endswith(('.pkl', '.pickle')) else 'metrics')
    wanted = ('.pkl', '.pickle') if item == 'pred' else ('.json', '.yaml', '.yml', '.pkl')
    if not args.out.endswith(wanted):
        raise ValueError(f'--out {args.out}: for {item} the name must end in {" or ".join(wanted)}')
    output = Output('--out', args.out, kind_of(args.out))
    check_outputs([output], [args.config, args.checkpoint], args.overwrite)
    return item


def configure(args):
    """Config: The file, changed by the command line."""
    check_transductive(args)
    args.config = named_config(args.config)
    cfg = load_config(args, under='test')
    leave_log_to_file(cfg, not args.verbose)
    cfg.resume, cfg.load_from = False, args.checkpoint and for_runner(args.checkpoint)
    if args.amp:
        cfg.test_cfg.fp16 = True
    if args.show or args.show_dir is not None:
        draw(cfg, args)
    if args.transductive:
        fp16 = cfg.test_cfg.get('fp16', False)
        cfg.test_cfg = dict(
            type='TransductiveTestLoop', support=args.with_training_images, fp16=fp16
        )
    if args.tta:
        augment(cfg)
    set_loader_defaults(
        cfg,
        ['test_dataloader'],
        collate_fn=dict(type='default_collate'),
        pin_memory=torch.cuda.is_available(),
    )
    if args.no_pin_memory:
        cfg.test_dataloader.pin_memory = False
    merge_options(cfg, args.cfg_options)
    return cfg


def draw(cfg, args):
    """Switch the visualization hook on."""
    hook = cfg.default_hooks.setdefault('visualization', dict(type='VisualizationHook'))
    hook.update(
        enable=True,
        show=args.show,
        wait_time=args.wait_time,
        out_dir=args.show_dir,
        interval=args.interval,
    )


def augment(cfg):
    """Switch test-time augmentation on, as MMPretrain does."""
    pipeline = cfg.test_dataloader.dataset.pipeline
    cfg.setdefault('tta_model', dict(type='mmpretrain.AverageClsScoreTTA'))
    if 'tta_pipeline' not in cfg:
        flips = [dict(type='RandomFlip', prob=1.0), dict(type='RandomFlip', prob=0.0)]
        both = dict(type='TestTimeAug', transforms=[flips, [pipeline[-1]]])
        cfg.tta_pipeline = [*deepcopy(pipeline[:-1]), both]
    cfg.model = ConfigDict(**cfg.tta_model, module=cfg.model)
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline


def check_nothing_learnt(model):
    """Refuse to test random prompts.

    Raises:
        ValueError: If the model learns something.
    """
    learnt = [name for name, p in model.named_parameters() if p.requires_grad]
    if learnt:
        raise ValueError(
            f'the model learns {len(learnt)} tensors ({", ".join(learnt[:3])}, ...), so testing it '
            'needs a checkpoint: python tools/test.py CONFIG CHECKPOINT'
        )


def check_complete(model, found):
    """Refuse a checkpoint that lacks a part of the model, or has another one.

    MMEngine would only warn, and test random numbers. A model with ``identity()`` checks by
    itself.

    Args:
        model (nn.Module): The model, as it is trained.
        found (dict[str, Tensor]): The checkpoint's state dict.

    Raises:
        ValueError: Names the tensors.
    """
    if hasattr(model, 'identity'):
        return
    expected, found = (
        {k: v for k, v in state.items() if not k.endswith('num_batches_tracked')}
        for state in (model.state_dict(), found)
    )  # those serve the training only
    check_tensors(expected, found)


def main(argv: list[str] | None = None) -> None:
    """Tests."""
    args = parse_args(argv)
    if not args.verbose:
        hide_noise()
    with friendly_errors(args.debug):
        item = what_to_write(args)
        cfg = configure(args)
        checkpoint = args.checkpoint and read_checkpoint(args.checkpoint)
        runner = build_runner(cfg)
        if checkpoint:
            check_complete(unwrapped(runner.model), checkpoint['state_dict'])
        else:
            check_nothing_learnt(runner.model)
        training = tested_training(args, runner, checkpoint)
        collector = collect_predictions(runner, runner.test_loop)
        if item == 'pred':
            write_predictions(runner, args.out)
            collected = collector.take()
        else:
            metrics = {k: float(v) for k, v in runner.test().items()}
            collected = collector.take()
            if is_quiet(cfg):  # then MMEngine's own line is in the log file alone
                runner.logger.info(', '.join(f'{k} {v:.2f}' for k, v in metrics.items()))
            if item and is_main_process():
                write_metrics(metrics, args.out)
            if args.transductive and is_main_process():
                tell_transductive(args, runner, checkpoint, training, metrics, collected)
        keep_predictions(args, runner, training, collected)


def write_predictions(runner, path):
    """Tests, and writes what the model said of each image."""
    with ExitStack() as stack:
        place = stack.enter_context(replacing(path)) if is_main_process() else path
        runner.test_evaluator.metrics.append(DumpResults(out_file_path=place))
        runner.test()


def write_metrics(metrics, path):
    """Write the figures, in the form that the name's ending says."""
    kind = path.rpartition('.')[2]
    text = mmengine.dump(metrics, file_format=kind)
    (write_atomically if kind == 'pkl' else write_text)(text, path)

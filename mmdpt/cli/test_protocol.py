"""Test a checkpoint by one of the benchmark's protocols.

    python tools/test_protocol.py CONFIG CHECKPOINT --protocol base-to-new
    python tools/test_protocol.py CONFIG CHECKPOINT --protocol cross-dataset
    python tools/test_protocol.py CONFIG CHECKPOINT \\
        --protocol domain-generalisation [--datasets ImageNetA ImageNetR]

CONFIG is the one of the training. For base-to-new, train with --cfg-options
dataset.subset=base. Prints the accuracy on each part, and the harmonic mean of
base and new, or the mean; writes them to protocol_NAME.json beside the checkpoint,
where tools/collect_results.py finds them.
"""

import argparse
import os.path as osp
import sys
from copy import deepcopy

from mmengine.dist import is_main_process

from ..engine import for_runner, read_checkpoint
from ..engine.cli import (
    add_common_arguments,
    build_runner,
    friendly_errors,
    load_config,
    merge_options,
    set_loader_defaults,
)
from ..engine.entry import read_entry
from ..engine.provenance import now, package_commit, versions
from ..evaluation.protocols import PROTOCOLS, check_training, summary, targets
from ..paths import spoken
from ..utils.files import write_json
from ..utils.outputs import OVERWRITE, Output, check_outputs
from ..utils.seal import read_sealed, sealed

TRAINING = (
    'config',
    'method',
    'benchmark',
    'subset',
    'shots',
    'seed',
    'draw_hash',
    'clip',
    'unlabelled_images',
)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=spoken(__doc__), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file of the training, or the name of a shipped one')
    parser.add_argument('checkpoint', help='checkpoint of the training')
    parser.add_argument('--protocol', required=True, choices=PROTOCOLS)
    parser.add_argument(
        '--datasets',
        nargs='+',
        default=[],
        metavar='NAME',
        help="benchmarks to test on; by default the protocol's",
    )
    parser.add_argument(
        '--json', metavar='FILE', help='write the figures here instead of beside the checkpoint'
    )
    parser.add_argument('--overwrite', **OVERWRITE)
    add_common_arguments(parser)
    return parser.parse_args(argv)


def test(cfg, title, change):
    """float: Accuracy in per cent on one target."""
    cfg = deepcopy(cfg)
    cfg.dataset.update(change)
    if unlabelled(cfg) and 'subset' in change and 'name' not in change:
        cfg.model.pop('teacher', None)  # the checkpoint has its text features of all classes
    cfg.model.transfer = True  # nothing is left out where the classes are the same
    cfg.experiment_name = f'{cfg.get("experiment_name") or "protocol"}_{title}'
    metrics = build_runner(cfg).test()
    return float(metrics['accuracy/top1'])


def unlabelled(cfg):
    """bool: Whether the training read no labels."""
    return bool(cfg.train_dataloader.dataset.get('unlabelled'))


def training_of(args, cfg, meta, subset):
    """dict: Which training the checkpoint is of.

    From its ``results.json``; without one beside the checkpoint, from what
    the checkpoint, the config and ``subset`` say.
    """
    identity = read_entry(meta)
    beside = osp.join(osp.dirname(args.checkpoint), 'results.json')
    if osp.isfile(beside):
        try:
            results = read_sealed(beside)
        except (OSError, ValueError) as error:
            print(f'warning: {beside} does not count: {error}', file=sys.stderr)
            results = {}
        if results and results.get('draw_hash') == identity.get('draw_hash'):
            best = osp.basename(args.checkpoint).startswith('best_')
            selected = dict(selected=results.get('selected') if best else None)
            return {**{key: results.get(key) for key in TRAINING}, **selected}
    report = cfg.get('default_hooks', {}).get('report') or {}
    return dict(
        config=args.config,
        method=report.get('method'),
        benchmark=cfg.dataset.name,
        subset=subset,
        shots=cfg.train_dataloader.dataset.get('shots'),
        seed=meta.get('seed'),
        draw_hash=identity.get('draw_hash'),
        clip=identity.get('clip'),
    )


def run(args):
    """Tests on all targets, prints and writes the figures."""
    output = Output('--json', args.json, 'json')
    check_outputs([output], [args.config, args.checkpoint], args.overwrite)
    cfg = load_config(args)
    cfg.resume, cfg.load_from = False, for_runner(args.checkpoint)
    set_loader_defaults(cfg, ['test_dataloader'], collate_fn=dict(type='default_collate'))
    merge_options(cfg, args.cfg_options)
    if not cfg.get('dataset'):
        raise ValueError(
            f'{args.config} has no "dataset": the protocols need a config on '
            'configs/_base_/few_shot.py'
        )
    parts = targets(args.protocol, cfg.dataset, args.datasets)
    meta = read_checkpoint(args.checkpoint)['meta']
    trained = read_entry(meta).get('classes', [])
    check_training(args.protocol, cfg.dataset, trained, unlabelled(cfg))
    base_only = args.protocol == 'base-to-new' and not unlabelled(cfg)
    training = training_of(args, cfg, meta, 'base' if base_only else cfg.dataset.get('subset'))
    commit = package_commit()
    accuracies = {title: test(cfg, title, change) for title, change in parts.items()}
    figures = summary(args.protocol, accuracies)
    if is_main_process():
        print(f'\n{args.protocol}, {args.checkpoint}')
        for name, value in {**accuracies, **figures}.items():
            print(f'  {name:16} {value:6.2f}')
        path = args.json or osp.join(osp.dirname(args.checkpoint), f'protocol_{args.protocol}.json')
        results = dict(
            protocol=args.protocol,
            accuracy=accuracies,
            **figures,
            **training,
            checkpoint=dict(path=args.checkpoint),
            versions=versions(),
            commit=commit,
            finished=now(),
        )
        write_json(sealed(results), path, indent=1)
        print(f'  results: {path}')


def main(argv: list[str] | None = None) -> None:
    """Tests."""
    args = parse_args(argv)
    with friendly_errors(args.debug):
        run(args)

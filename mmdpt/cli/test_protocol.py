"""Test a checkpoint by one of the benchmark's protocols.

The command line: arguments/test_protocol.py.
"""

import os.path as osp
import sys
from copy import deepcopy

from mmengine.dist import is_main_process

from ..engine import for_runner, read_checkpoint
from ..engine.cli import friendly_errors, load_config, merge_options, set_loader_defaults
from ..engine.entry import read_entry
from ..engine.prediction_files import ListFiles, named_checkpoint
from ..engine.provenance import now, package_commit, versions
from ..engine.screen import hide_noise, leave_log_to_file
from ..evaluation.protocols import HALVES, check_training, predictions_file, summary, targets
from ..sweep.named import named_config
from ..utils.files import is_stream, write_json
from ..utils.outputs import Output, check_outputs
from ..utils.seal import read_sealed, sealed
from .arguments.test_protocol import parse_args
from .more_protocols import MEASURES, check_choices, lists_of, tested

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
    'data_protocol',
    'used_for',
)


def test(cfg, title, change, files):
    """float: Accuracy in per cent on one target, whose predictions are written."""
    cfg = deepcopy(cfg)
    cfg.dataset.update(change)
    if unlabelled(cfg) and 'subset' in change and 'name' not in change:
        cfg.model.pop('teacher', None)  # the checkpoint has its text features of all classes
    cfg.model.transfer = True  # nothing is left out where the classes are the same
    cfg.experiment_name = f'{cfg.get("experiment_name") or "protocol"}_{title}'
    accuracy, collected, _ = tested(cfg)
    files.write(title, collected)
    return accuracy


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
        benchmark=(cfg.get('dataset') or {}).get('name'),
        subset=subset,
        shots=((cfg.get('train_dataloader') or {}).get('dataset') or {}).get('shots'),
        seed=meta.get('seed'),
        draw_hash=identity.get('draw_hash'),
        clip=identity.get('clip'),
    )


def results_path(args):
    """str: The file of results; a pipe has none of predictions beside it."""
    if args.json and not is_stream(args.json):
        return args.json
    return osp.join(osp.dirname(args.checkpoint), f'protocol_{args.protocol}.json')


def keeps_predictions(cfg):
    """bool: Whether trainings with this config keep what they predict."""
    return ((cfg.get('default_hooks') or {}).get('report') or {}).get('predictions', True)


def check_files(args, path, lists):
    """Refuse predictions that would cost a file.

    Raises:
        OSError, ValueError: Names the file, or the lists that would share one.
    """
    files = [predictions_file(path, name) for name in lists]
    if len(set(files)) < len(files):
        raise ValueError(f'some of {", ".join(lists)} would share a file: test them one by one')
    if path == args.json:
        outputs = [Output('--json', file, 'logits') for file in files]
        check_outputs(outputs, [args.config, args.checkpoint], args.overwrite)


def run(args):
    """Tests on all targets, prints and writes the figures."""
    output = Output('--json', args.json, 'json')
    check_outputs([output], [args.config, args.checkpoint], args.overwrite)
    args.config = named_config(args.config)
    cfg = load_config(args, under='test')
    leave_log_to_file(cfg, not args.verbose)
    cfg.resume, cfg.load_from = False, for_runner(args.checkpoint)
    set_loader_defaults(cfg, ['test_dataloader'], collate_fn=dict(type='default_collate'))
    merge_options(cfg, args.cfg_options)
    if not cfg.get('dataset'):
        raise ValueError(
            f'{args.config} has no "dataset": the protocols need a config on '
            'configs/_base_/few_shot.py'
        )
    more = MEASURES.get(args.protocol)
    parts = {} if more else targets(args.protocol, cfg.dataset, args.datasets)
    check_choices(args)
    path = results_path(args)
    keeps = keeps_predictions(cfg)
    check_files(args, path, lists_of(args, parts) if keeps else [])
    meta = read_checkpoint(args.checkpoint)['meta']
    trained = read_entry(meta).get('classes', [])
    check_training(args.protocol, cfg.dataset, trained, unlabelled(cfg))
    base_only = args.protocol in HALVES and not unlabelled(cfg)
    training = training_of(args, cfg, meta, 'base' if base_only else cfg.dataset.get('subset'))
    commit = package_commit()
    training['checkpoint'] = dict(
        path=args.checkpoint, sha256=named_checkpoint(dict(path=args.checkpoint))['sha256']
    )
    files = ListFiles(path, training, keeps)
    # new classes first: a method that refuses them says so at once
    order = reversed(parts) if args.protocol in HALVES else parts
    found = {title: test(cfg, title, parts[title], files) for title in order}
    accuracies = {title: found[title] for title in parts}
    accuracies.update(more(cfg, args, files) if more else {})
    if is_main_process():
        tell(args, accuracies, files, commit)


def tell(args, accuracies, files, commit):
    """Prints and writes the figures."""
    figures = summary(args.protocol, accuracies)
    print(f'\n{args.protocol}, {args.checkpoint}')
    for name, value in {**accuracies, **figures}.items():
        print(f'  {name:24} {value:6.2f}')
    results = dict(
        protocol=args.protocol,
        accuracy=accuracies,
        **figures,
        **files.training,
        files=files.written,
        versions=versions(),
        commit=commit,
        finished=now(),
    )
    path = args.json or files.results
    write_json(sealed(results), path, indent=1)
    print(f'  results: {path}')
    for reason in files.missing:
        print(f'warning: {reason}', file=sys.stderr)
    if files.written:
        folder = osp.dirname(files.results) or '.'
        print(f'  predictions: {", ".join(sorted(files.written))} in {folder}')


def main(argv: list[str] | None = None) -> None:
    """Tests."""
    args = parse_args(argv)
    if not args.verbose:
        hide_noise()
    with friendly_errors(args.debug):
        run(args)

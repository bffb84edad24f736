"""Repeat the experiment of a paper.

The command line: arguments/reproduce.py.
"""

import os.path as osp
import subprocess
import sys
from argparse import Namespace

from ..datasets import get_layout
from ..datasets.benchmarks import get_benchmark
from ..datasets.doctor import check_dataset
from ..engine.cli import friendly_errors
from ..paths import root
from ..results import collect, find_runs
from ..results.beside import beside, table
from ..sweep.estimate import estimate
from ..sweep.kits import KITS, SEEDS, Kit, plan_kit
from ..sweep.published.figures import AVERAGE, Figure, figures
from ..utils.checks import check_least
from ..utils.files import write_json, write_text
from ..utils.outputs import Output, check_outputs
from .arguments.reproduce import parse_args
from .sweep import report_failures, start

TARGETS = dict(all=('',), base=('base', 'new'))
TESTS = dict(all=2, base=4)  # zero-shot and learnt; base-to-new tests both halves again


def runs_of(args: Namespace, kit: Kit) -> list:
    """The runs that the command line asks for."""
    options = dict(args.cfg_options)
    if args.data_root:
        options['dataset.data_root'] = args.data_root
    return plan_kit(kit, args.work_dir, args.datasets, args.shots, args.seeds, options)


def tell_plan(args: Namespace, kit: Kit, runs: list) -> None:
    """Print runs, hours and disk, and what is known of the published figures."""
    known = published(kit)
    asked = wanted(kit, runs)
    found = estimate(runs, args.work_dir, TESTS[kit.subset], args.images_per_second)
    datasets = dict.fromkeys(run.content['dataset']['name'] for run in runs)
    print(kit.title)
    shots, seeds = args.shots or kit.shots, args.seeds or SEEDS
    print(f'  {len(runs)} runs: {", ".join(datasets)}')
    print(f'  x {", ".join(map(str, shots))} shots x seeds {", ".join(map(str, seeds))}')
    print(f'  about {found.hours:.1f} hours on one GPU: {found.basis}')
    print(f'  about {found.gigabytes:.1f} GB of disk: stored logits, checkpoints, logs')
    if kit.note:
        print(f'  {kit.note}')
    absent = [place for place in asked if place not in known]
    print(f'  published figures: {len(asked) - len(absent)} of {len(asked)}')
    if absent:
        names = dict.fromkeys(dataset for dataset, _, _ in absent)
        print(f'  none was found in a document for {", ".join(names)}')


def published(kit: Kit) -> dict[tuple[str, str, int], Figure]:
    """Published figures by benchmark, target and shots."""
    known = {}
    for one in figures(kit.method, kit.subset):
        name = AVERAGE if one.dataset == AVERAGE else get_benchmark(one.dataset).name
        known[name, one.target, one.shots] = one
    return known


def wanted(kit: Kit, runs: list) -> list[tuple[str, str, int]]:
    """What is compared: benchmark, target and shots."""
    places = [
        (
            run.content['dataset']['name'],
            target,
            run.content['train_dataloader']['dataset']['shots'],
        )
        for run in runs
        for target in TARGETS[kit.subset]
    ]
    return list(dict.fromkeys(places))


def check_data(runs: list, other: bool) -> None:
    """Check the lists and files of each dataset, as ``check_dataset`` does.

    Args:
        runs (list[Run]): All.
        other (bool): Whether to say only what is wrong.

    Raises:
        ValueError: Names what is wrong, and the command that tells more.
    """
    wrong = []
    shared = {run.content['dataset']['name']: run.content['dataset'] for run in runs}
    for name, dataset in shared.items():
        if not get_benchmark(name).folder:
            continue  # digits: no files
        data_root = dataset.get('data_root', 'data')
        try:
            findings = check_dataset(get_layout(name, data_root))
            bad = [one.text for one in findings if one.ok is False]
        except (OSError, ValueError) as error:
            bad = [str(error)]
        if bad:
            wrong.append(f'{name}: {bad[0]}')
        else:
            print(f'  data of {name}: found and checked')
    if wrong and other:
        print('\n  '.join(['  warning: these are not the published data:', *wrong]))
    elif wrong:
        more = 'python tools/check_dataset.py NAME --data-root DIR tells more'
        head = f'nothing is started: {more}, --other-data goes on with them'
        raise ValueError(
            '\n  '.join([f'data are missing or not the published ones; {head}', *wrong])
        )


def test_halves(work_dir: str, runs: list) -> list[str]:
    """Test each finished training on base and new classes, unless that is done.

    Returns:
        list[str]: The runs whose test failed, with the last line that it said.
    """
    failed = []
    for run in runs:
        folder = osp.join(work_dir, run.name)
        if osp.isfile(osp.join(folder, 'protocol_base-to-new.json')):
            continue
        last = osp.join(folder, 'last_checkpoint')
        if not osp.isfile(last):
            continue  # the training failed, which is told already
        with open(last) as file:
            checkpoint = osp.join(folder, osp.basename(file.read().strip()))
        config = osp.join(work_dir, '.sweep', 'configs', f'{run.name}.py')
        tool = str(root() / 'tools' / 'test_protocol.py')
        command = [sys.executable, tool, config, checkpoint, '--protocol', 'base-to-new']
        command += ['--work-dir', osp.join(folder, 'tested')]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if line.startswith('error')]
            failed.append(f'{run.name}: {(lines or [done.stderr[-200:]])[-1]}')
        else:
            print(f'tested on base and new: {run.name}', flush=True)
    return failed


def compare(work_dir: str, kit: Kit, runs: list) -> None:
    """Write and print our figures beside the published ones."""
    rows, warnings = collect(find_runs([osp.join(work_dir, run.name) for run in runs]))
    lines = beside(rows, wanted(kit, runs), published(kit))
    told = [line._asdict() | dict(verdict=line.verdict) for line in lines]
    write_json(dict(title=kit.title, lines=told), osp.join(work_dir, 'reproduced.json'), indent=1)
    text = f'# {kit.title}\n\n{table(lines)}'
    text += ''.join(f'\nwarning: {warning}' for warning in warnings)
    write_text(text, osp.join(work_dir, 'reproduced.md'))
    print(f'\n{text}\n{osp.join(work_dir, "reproduced.md")}')


def main(argv: list[str] | None = None) -> None:
    """Plan, check, run, compare."""
    args = parse_args(argv)
    args.work_dir = osp.abspath(args.work_dir or osp.join('work_dirs', f'reproduce_{args.name}'))
    with friendly_errors(args.debug, '; the same command goes on'):
        for name in ('slots', 'per_gpu'):
            if getattr(args, name) is not None:
                check_least(f'--{name.replace("_", "-")}', getattr(args, name), 1)
        if args.images_per_second is not None and not args.images_per_second > 0:
            raise ValueError('--images-per-second must be above 0')
        check_outputs([Output('--json', args.json, 'json')], [], args.overwrite)
        kit = KITS[args.name]
        runs = runs_of(args, kit)
        tell_plan(args, kit, runs)
        if args.plan:
            return
        check_data(runs, args.other_data)
        board = start(args, runs)
        failed = test_halves(args.work_dir, runs) if kit.subset == 'base' else []
        for line in failed:
            print(f'failed: {line}', file=sys.stderr)
        compare(args.work_dir, kit, runs)
        report_failures(board)
        if failed:
            sys.exit(1)

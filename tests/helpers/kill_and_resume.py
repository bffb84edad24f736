"""Kills trainings with SIGKILL at random moments and lets them go on.

    OMP_NUM_THREADS=1 python tests/helpers/kill_and_resume.py [METHOD ...] [--kills 2] [--json FILE]

Each method trains on the built-in example once without a break, and once with
breaks; the two last checkpoints and results must be equal, bit for bit. The
slow test of test_resume.py runs the same.
"""

import argparse
import json
import os
import os.path as osp
import random
import re
import signal
import subprocess
import sys
import tempfile
import time

import torch

ROOT = osp.dirname(osp.dirname(osp.dirname(osp.abspath(__file__))))
SHORT = [
    'train_dataloader.dataset.shots=4',
    'train_dataloader.batch_size=8',
    'test_dataloader.dataset.indices=100',
    'val_dataloader.dataset.indices=100',
    'default_hooks.report.baselines=[]',
]
# what a method needs to be short, and to change its ways in between
ALSO = dict(
    dpt=['model.head.guided_epochs=3'],
    promptsrc=['default_hooks.aggregation.mean=4'],
    skiptuning=['train_dataloader.batch_size=2'],  # of one class, which has four
    tip_adapter=['model.head.num_keys=40'],
    tip_adapter_f=['model.head.num_keys=40'],
    promptkd=['train_dataloader.dataset.shots=None', 'train_dataloader.dataset.indices=40'],
    ape=['model.head.num_keys=40', 'train_cfg.views=2'],
    clap=['model.head.adaptive=True', 'train_cfg.views=3'],
    crossmodal_lp=['train_cfg.views=3'],
    zs_lp=['train_cfg.views=3'],
    gda=['train_cfg.views=2'],
    lppp=['train_cfg.fit.epochs=20'],
    prolip=['train_cfg.fit.epochs=20', 'train_cfg.views=3'],
)
FITTED = ('tip_adapter', 'linear_probe', 'gda', 'lppp', 'prolip', 'ape')  # one epoch, no step
KEPT = ('ape', 'clap', 'crossmodal_lp', 'zs_lp', 'gda', 'lppp', 'prolip', 'linear_probe')  # tests
METHODS = (
    'coop',
    'cocoop',
    'kgcoop',
    'tcp',
    'mmrl',
    'mmrlpp',
    'prograd',
    'promptsrc',
    'maple',
    'vpt',
    'vpt_shallow',
    'vlp',
    'dpt',
    'clip_adapter',
    'tip_adapter',
    'tip_adapter_f',
    'clip_lora',
    'twosfs',
    'skiptuning',
    'coprompt',
    'promptkd',
    'linear_probe',
    'gda',
    'lppp',
    'prolip',
    'ape',
    'zs_lp',
    'clap',
    'crossmodal_lp',
)
sys.path.insert(0, ROOT)  # as a script
TIMES = ('train_seconds', 'train_cpu_seconds', 'last_ckpt')  # differ between equal trainings


def config_of(method):
    """str: The config file of a method on the built-in example."""
    folder = {'vpt_shallow': 'vpt', 'tip_adapter_f': 'tip_adapter'}.get(method, method)
    shots = '' if method == 'promptkd' else '_16shot'
    return osp.join(ROOT, 'configs', folder, f'{method}_tiny_digits{shots}.py')


def options_of(method, epochs):
    """list[str]: What follows ``--cfg-options``."""
    cache = osp.join(tempfile.gettempdir(), 'mmdpt_features')
    kept = [f'test_cfg.cache_dir={cache}'] if method in KEPT else []
    return [f'train_cfg.max_epochs={epochs}', *SHORT, *ALSO.get(method, []), *kept]


def differences(one, two, place='checkpoint'):
    """list[str]: Where two nested objects differ, bit for bit."""
    if isinstance(one, torch.Tensor) and isinstance(two, torch.Tensor):
        same = one.dtype == two.dtype and torch.equal(one, two)
        return [] if same else [place]
    if type(one) is not type(two):
        return [place]
    if isinstance(one, dict):
        keys = [k for k in {**one, **two} if k not in TIMES]
        missing = [f'{place}.{k}' for k in keys if (k in one) != (k in two)]
        return missing + [
            d
            for k in keys
            if k in one and k in two
            for d in differences(one[k], two[k], f'{place}.{k}')
        ]
    if isinstance(one, (list, tuple)):
        if len(one) != len(two):
            return [place]
        return [
            d for i, (a, b) in enumerate(zip(one, two)) for d in differences(a, b, f'{place}[{i}]')
        ]
    return [] if one == two else [place]


def parts(work_dir):
    """dict: All of the last checkpoint but the clock, and the final metrics."""
    from mmdpt.engine import latest_checkpoint, read_checkpoint

    checkpoint = read_checkpoint(latest_checkpoint(work_dir))
    checkpoint['meta'] = {k: checkpoint['meta'][k] for k in ('epoch', 'iter', 'seed', 'mmdpt')}
    # a Runner has its log's name from the clock
    checkpoint['message_hub'] = {
        k: v for k, v in checkpoint['message_hub']['runtime_info'].items() if k in ('epoch', 'iter')
    }
    with open(osp.join(work_dir, 'results.json')) as file:
        results = json.load(file)
    return dict(checkpoint, few_shot=results['few_shot'])


def start(method, work_dir, epochs, *more):
    """Popen: ``tools/train.py`` on its way, output to a log file."""
    command = [
        sys.executable,
        osp.join(ROOT, 'tools', 'train.py'),
        config_of(method),
        '--work-dir',
        work_dir,
        *more,
        '--cfg-options',
        *options_of(method, epochs),
    ]
    environment = dict(os.environ, PYTHONPATH=ROOT, OMP_NUM_THREADS='1')
    with open(work_dir + '.log', 'ab') as log:
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log)


def finish(process, work_dir):
    """Waits for a training; raises with the end of its output if it failed."""
    if process.wait():
        with open(work_dir + '.log') as log:
            raise RuntimeError(f'{work_dir}: status {process.returncode}\n{log.read()[-3000:]}')


def run(method, folder, kills=2, epochs=6, seed=0):
    """Trains with and without breaks.

    Returns:
        dict: ``killed`` (the newest checkpoint at each kill), ``differences``.
    """
    rng = random.Random(f'{method} {seed}')
    whole, broken = (osp.join(folder, f'{method}_{name}') for name in ('whole', 'broken'))
    began = time.time()
    finish(start(method, whole, epochs), whole)
    seconds, killed = time.time() - began, []
    last = 1 if method in FITTED else epochs
    pause = seconds / 4 / last  # about an epoch, with what a checkpoint takes
    for after in sorted(rng.choices(range(last), k=kills)):
        process = start(method, broken, epochs, '--resume')
        wait_for_epoch(process, broken, after)
        time.sleep(rng.uniform(0, pause if after else seconds / 2))
        process.send_signal(signal.SIGKILL)
        killed.append(
            f'epoch {newest_epoch(broken)}' if process.wait() == -signal.SIGKILL else 'too late'
        )
    finish(start(method, broken, epochs, '--resume'), broken)
    return dict(killed=killed, differences=differences(parts(whole), parts(broken)))


def newest_epoch(work_dir):
    """int: The last epoch of which there is a checkpoint, or 0."""
    names = os.listdir(work_dir) if osp.isdir(work_dir) else []
    return max([int(x) for n in names for x in re.findall(r'^epoch_(\d+)', n)], default=0)


def wait_for_epoch(process, work_dir, epoch):
    """Waits until a training has saved an epoch, or has ended."""
    while process.poll() is None and newest_epoch(work_dir) < epoch:
        time.sleep(0.005)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('methods', nargs='*', default=METHODS)
    parser.add_argument('--kills', type=int, default=2)
    parser.add_argument('--epochs', type=int, default=6)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--json')
    args = parser.parse_args()
    found = {}
    for method in args.methods:
        with tempfile.TemporaryDirectory() as folder:
            found[method] = run(method, folder, args.kills, args.epochs, args.seed)
        print(method, found[method], flush=True)
        if args.json:
            with open(args.json, 'w') as file:
                json.dump(found, file, indent=1)
    wrong = [m for m, f in found.items() if f['differences']]
    print(
        f'{sum(len(f["killed"]) for f in found.values())} kills, {len(found)} methods, '
        f'{len(wrong)} differ {wrong}'
    )
    sys.exit(bool(wrong))


if __name__ == '__main__':
    main()

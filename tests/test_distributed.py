"""Several processes (gloo on CPU) do what one does, and end together."""

import json
import os
import os.path as osp
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from helpers import gloo
from helpers.engine_toy import toy_config
from helpers.processes import run_processes
from mmengine.dataset import DefaultSampler

from mmdpt.datasets import FewShotBatchSampler
from mmdpt.engine import read_checkpoint

ROOT = osp.dirname(osp.dirname(osp.abspath(__file__)))


def spawn(world, folder, runs):
    run_processes(gloo.process, world, folder, runs)
    return [torch.load(folder / f'{world}_{rank}.pt', weights_only=False) for rank in range(world)]


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('gloo')


@pytest.fixture(scope='module')
def two(folder):
    """Results of both processes."""
    return spawn(2, folder, runs=True)


@pytest.fixture(scope='module')
def three(folder):
    return spawn(3, folder, runs=False)


def assert_equal(found, wanted):
    assert found.keys() == wanted.keys() and found
    for name, value in wanted.items():
        scale = max(value.double().abs().max().item(), 1e-3) if value.numel() else 1.0
        torch.testing.assert_close(
            found[name].to(value),
            value,
            rtol=1e-9,
            atol=1e-9 * scale,
            msg=lambda m, name=name: f'{name}: {m}',
        )


def assert_same_training(case, parts):
    """Every process logs the losses, takes the gradients and learns what one
    process does: 6 images, then 5, then 5 in a later epoch."""
    wanted = gloo.train(case)
    assert any((g != 0).any() for g in wanted[1][0].values())
    for cases, _ in parts:
        losses, gradients, learnt = cases[case]
        for step in range(len(gloo.STEPS)):
            assert_equal(losses[step], wanted[0][step])
            assert_equal(gradients[step], wanted[1][step])
        assert_equal(learnt, wanted[2])


@pytest.mark.parametrize('case', gloo.CASES)
def test_two_processes_equal_one(case, two):
    assert_same_training(case, two)


@pytest.mark.slow
@pytest.mark.parametrize('case', gloo.CASES)
def test_three_processes_equal_one(case, three):
    assert_same_training(case, three)


@pytest.mark.parametrize('name', gloo.RUNS)
def test_whole_training_equals_one_process(name, two, folder):
    """15 images (8 and 7 a process), dropout and augmentation, 201 images to
    test on; the first process alone writes."""
    state, losses = gloo.run(name, folder)
    for _, runs in two:
        assert_equal(runs[name][0], state)
        torch.testing.assert_close(
            torch.tensor(runs[name][1]), torch.tensor(losses), rtol=1e-9, atol=1e-9
        )
    one, first = (
        json.loads((folder / f'{name}_{part}' / 'results.json').read_text())
        for part in ('1_0', '2_0')
    )
    assert first['zero_shot'] == one['zero_shot'] and first['few_shot'] == one['few_shot']
    files = [
        [p for p in (folder / f'{name}_2_{rank}').rglob('*') if p.is_file()] for rank in range(2)
    ]
    assert files[0] and not files[1]


def test_frozen_features_are_kept_once(two, folder):
    """Validation and test list; one process reads what two have written."""
    files = sorted((folder / 'cache').glob('*'))
    times = [f.stat().st_mtime_ns for f in files]
    assert len(files) == 2
    gloo.run('tip', folder)
    assert [f.stat().st_mtime_ns for f in sorted((folder / 'cache').glob('*'))] == times


@pytest.mark.parametrize(
    'images, batch, world',
    [(160, 16, 2), (159, 16, 2), (5, 3, 2), (7, 4, 3), (31, 16, 2), (64, 16, 2), (3, 8, 3)],
)
def test_batches_are_those_of_one_process(images, batch, world):
    def batches(rank, of, size):
        sampler = DefaultSampler(range(images), seed=3)
        sampler.rank, sampler.world_size = rank, of
        sampler.num_samples = -(-images // of)
        sampler.total_size = sampler.num_samples * of
        found = FewShotBatchSampler(sampler, size)
        assert len(found) == len(list(found))
        return list(found)

    shares = [batches(rank, world, batch) for rank in range(world)]
    assert len({len(share) for share in shares}) == 1
    together = [sorted(sum(parts, [])) for parts in zip(*shares)]
    assert together == [sorted(b) for b in batches(0, 1, batch * world)]


def test_too_few_images():
    sampler = DefaultSampler(range(2), seed=3)
    sampler.world_size = 3
    with pytest.raises(ValueError, match='2 training images are too few for 3 processes'):
        FewShotBatchSampler(sampler, 4)


# Command lines.


def environment(**more):
    path = os.pathsep.join([osp.dirname(sys.executable), os.environ['PATH']])
    return dict(
        os.environ,
        PYTHONPATH=os.pathsep.join([ROOT, osp.join(ROOT, 'tests')]),
        PATH=path,
        OMP_NUM_THREADS='1',
        **more,
    )


def script(name, *arguments, **more):
    """The running script, with its output."""
    return subprocess.Popen(
        [osp.join(ROOT, 'tools', name), *map(str, arguments)],
        env=environment(**more),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def outcome(process, seconds=400):
    """Exit status and output; a hang is a failure."""
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        pytest.fail('the processes hang: ' + process.communicate()[0][-3000:])
    return process.returncode, output


@pytest.fixture
def config(tmp_path, monkeypatch):
    """A config file of the toy, in a fresh working folder."""
    monkeypatch.chdir(tmp_path)
    cfg = toy_config('')
    cfg.pop('work_dir')
    cfg.custom_imports.imports = ['mmdpt', 'helpers.engine_toy', 'helpers.faulty']
    path = tmp_path / 'toy.py'
    cfg.dump(path)
    return path


def recorded_srun(folder):
    """A stand-in for SLURM: writes its options down and starts the tasks."""
    (folder / 'bin').mkdir()
    (folder / 'bin' / 'srun').write_text("""#!/usr/bin/env bash
printf '%s\\n' "$@" >"$RECORD"
while [ "$1" = -p ] || [[ $1 == --* ]]; do
    case $1 in --ntasks=*) tasks=${1#*=} ;; -p) shift ;; esac
    shift
done
[ -n "${START:-}" ] || exit 0
export SLURM_NTASKS=$tasks SLURM_NODELIST=here
for ((task = 0; task < tasks; task++)); do
    SLURM_PROCID=$task SLURM_LOCALID=$task "$@" &
    tasks_started+=($!)
done
for task in "${tasks_started[@]}"; do wait "$task" || exit 1; done
""")
    (folder / 'bin' / 'scontrol').write_text('#!/bin/sh\necho 127.0.0.1\n')
    for name in ('srun', 'scontrol'):
        (folder / 'bin' / name).chmod(0o755)
    path = os.pathsep.join([str(folder / 'bin'), environment()['PATH']])
    return dict(PATH=path, RECORD=str(folder / 'record'))


def start_slurm(folder, name, *arguments, **more):
    command = [osp.join(ROOT, 'tools', name), *map(str, arguments)]
    process = subprocess.Popen(
        command,
        env={**environment(), **recorded_srun(folder), **more},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    status, output = outcome(process)
    record = folder / 'record'
    return status, output, record.read_text().splitlines() if record.exists() else []


@pytest.mark.parametrize(
    'name, extra, wanted',
    [
        (
            'slurm_train.sh',
            ['c.py', 'out', '--seed', '2'],
            ['train.py', '--launcher', 'slurm', 'c.py', '--work-dir', 'out', '--seed', '2'],
        ),
        (
            'slurm_train.sh',
            ['c.py', '--amp', 'x y'],
            ['train.py', '--launcher', 'slurm', 'c.py', '--amp', 'x y'],
        ),
        (
            'slurm_test.sh',
            ['c.py', 'k.pth', '--tta'],
            ['test.py', '--launcher', 'slurm', 'c.py', 'k.pth', '--tta'],
        ),
    ],
)
def test_slurm_options(tmp_path, name, extra, wanted):
    status, output, words = start_slurm(
        tmp_path,
        name,
        'gpu',
        'job 1',
        *extra,
        GPUS='16',
        CPUS_PER_TASK='3',
        SRUN_ARGS='--qos=high --exclusive',
        PYTHON='python3',
    )
    assert status == 0, output
    assert words[:2] == ['-p', 'gpu'] and words[2] == '--job-name=job 1'
    assert words[3:10] == [
        '--gres=gpu:8',
        '--ntasks=16',
        '--ntasks-per-node=8',
        '--cpus-per-task=3',
        '--kill-on-bad-exit=1',
        '--qos=high',
        '--exclusive',
    ]
    assert words[10:12] == ['python3', '-u'] and osp.basename(words[12]) == wanted[0]
    assert words[13:] == wanted[1:]


@pytest.mark.parametrize(
    'name', ['slurm_train.sh', 'slurm_test.sh', 'dist_train.sh', 'dist_test.sh']
)
def test_usage(name):
    status, output = outcome(script(name, 'one'))
    assert status == 2 and output.startswith('usage: ')


@pytest.mark.slow
def test_slurm_trains_then_tests(config, tmp_path):
    half = ['--cfg-options', 'train_dataloader.batch_size=4']
    status, output, _ = start_slurm(
        tmp_path, 'slurm_train.sh', 'cpu', 'toy', config, 'out', *half, GPUS='2', START='1'
    )
    assert status == 0, output
    subprocess.run(
        [sys.executable, osp.join(ROOT, 'tools/train.py'), str(config), '--work-dir', 'one'],
        env=environment(),
        check=True,
        capture_output=True,
    )
    assert_close_states('out', 'one')
    for tool in ('srun', 'scontrol'):
        (tmp_path / 'bin' / tool).unlink()
    (tmp_path / 'bin').rmdir()
    status, output, _ = start_slurm(
        tmp_path,
        'slurm_test.sh',
        'cpu',
        'toy',
        config,
        'out/epoch_4.pth',
        '--out',
        'm.json',
        GPUS='2',
        START='1',
    )
    assert status == 0 and 'accuracy/top1' in json.loads(Path('m.json').read_text()), output


def assert_close_states(*folders):
    found, wanted = (read_checkpoint(f'{f}/epoch_4.pth')['state_dict'] for f in folders)
    for name in wanted:
        torch.testing.assert_close(found[name], wanted[name], rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_two_nodes(config):
    """Two torchruns of one process each, on this machine, are one process."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = str(free.getsockname()[1])
    nodes = [
        script(
            'dist_train.sh',
            config,
            1,
            '--work-dir',
            'two',
            '--cfg-options',
            'train_dataloader.batch_size=4',
            NNODES='2',
            NODE_RANK=str(node),
            PORT=port,
            MASTER_ADDR='127.0.0.1',
        )
        for node in range(2)
    ]
    for status, output in map(outcome, nodes):
        assert status == 0, output
    subprocess.run(
        [sys.executable, osp.join(ROOT, 'tools/train.py'), str(config), '--work-dir', 'one'],
        env=environment(),
        check=True,
        capture_output=True,
    )
    assert_close_states('two', 'one')


FAULTS = dict(
    error=['unexpected error (rank 1 of 2', 'Traceback', 'something unforeseen'],
    dataset=['error (rank 1 of 2', '5.jpg is damaged: replace it', 'Traceback'],
    exit=['rank      : 1', 'exitcode  : 7'],
    kill=['rank      : 1', 'Signal 9 (SIGKILL)'],
    nan=[
        'training stopped in iteration 5 (epoch 3): the gradient of the loss has the norm nan',
        'The last good checkpoint is',
    ],
    hang=['the connection to another process broke or timed out', 'rank 0 of 2'],
)


@pytest.mark.slow
@pytest.mark.parametrize('kind', FAULTS)
def test_a_fault_on_one_process_ends_all(kind, config):
    """With the error of the process that failed, its rank, and no hang."""
    options = dict(
        dataset=['train_dataloader.dataset.type=FaultyDataset'],
        hang=['env_cfg.dist_cfg.timeout=40'],
    ).get(kind, ['train_cfg.max_epochs=4'])
    if kind != 'dataset':
        with config.open('a') as file:
            file.write(f"\ncustom_hooks = [dict(type='FaultHook', kind='{kind}')]\n")
    start = time.time()
    status, output = outcome(
        script('dist_train.sh', config, 2, '--work-dir', 'out', '--cfg-options', *options)
    )
    assert status != 0 and time.time() - start < 300
    for words in FAULTS[kind]:
        assert words in output, output[-4000:]
    assert osp.exists('out/epoch_1.pth') and not osp.exists('out/epoch_4.pth')


DIGITS = osp.join(ROOT, 'configs/dpt/dpt_tiny_digits_16shot.py')


@pytest.mark.slow
def test_digits(tmp_path, monkeypatch):
    """DPT through tools/dist_train.sh: prompts, accuracy and log of one process."""
    monkeypatch.chdir(tmp_path)
    options = [
        '--cfg-options',
        'train_cfg.max_epochs=3',
        'model.head.guided_epochs=1',
        'model.precision=fp64',
        'train_dataloader.dataset.shots=4',
        'default_hooks.report.baselines=[]',
    ]
    status, output = outcome(
        script(
            'dist_train.sh',
            DIGITS,
            2,
            '--work-dir',
            'two',
            *options,
            'train_dataloader.batch_size=16',
        )
    )
    assert status == 0, output
    subprocess.run(
        [sys.executable, osp.join(ROOT, 'tools/train.py'), DIGITS, '--work-dir', 'one', *options],
        env=environment(),
        check=True,
        capture_output=True,
    )
    found, wanted = (read_checkpoint(f'{f}/epoch_3.pth')['state_dict'] for f in ('two', 'one'))
    for name in wanted:
        torch.testing.assert_close(found[name], wanted[name], rtol=1e-7, atol=1e-8)
    results = [json.loads(Path(f'{f}/results.json').read_text()) for f in ('two', 'one')]
    assert results[0]['few_shot'] == results[1]['few_shot']
    assert results[0]['zero_shot'] == results[1]['zero_shot']
    assert len(list(Path('two').glob('*/*.log'))) == 1
    status, output = outcome(
        script(
            'dist_test.sh',
            DIGITS,
            'two/epoch_3.pth',
            2,
            '--out',
            'm.json',
            '--cfg-options',
            'model.precision=fp64',
        )
    )
    assert status == 0, output
    assert json.loads(Path('m.json').read_text()) == results[0]['few_shot']


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason='needs a machine without GPU')
def test_bfloat16(tmp_path):
    status, output = outcome(
        script(
            'dist_train.sh',
            DIGITS,
            2,
            '--amp',
            '--work-dir',
            tmp_path / 'bf16',
            '--cfg-options',
            'train_cfg.max_epochs=2',
            'train_dataloader.batch_size=16',
            'default_hooks.report.baselines=[]',
        )
    )
    assert status == 0, output
    results = json.loads((tmp_path / 'bf16' / 'results.json').read_text())
    assert results['few_shot']['accuracy/top1'] > 60
    assert "precision='bf16'" in (tmp_path / 'bf16' / osp.basename(DIGITS)).read_text()


# The first process works alone for longer than the others' timeout.


def patient(rank, world, folder):
    from mmdpt.engine.launch import main_process_alone

    with main_process_alone() as works:
        if works:
            time.sleep(8)
    value = torch.ones(1)
    dist.all_reduce(value)
    torch.save((works, value), f'{folder}/wait_{rank}.pt')


@pytest.mark.slow
def test_others_wait_for_the_first_process(tmp_path):
    run_processes(patient, 2, tmp_path, timeout=4)
    found = [torch.load(tmp_path / f'wait_{rank}.pt', weights_only=False) for rank in range(2)]
    assert [works for works, _ in found] == [True, False]
    assert all(value.item() == 2 for _, value in found)

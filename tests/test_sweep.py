"""tools/sweep.py with a stub of a training: what runs, what is skipped, what
survives a kill."""

import json
import multiprocessing
import os
import os.path as osp
import signal
import sys
import time

import pytest
from helpers import fake_slurm
from helpers.engine_toy import toy_config

from mmdpt.cli import sweep as TOOL
from mmdpt.sweep import slurm
from mmdpt.sweep.state import holder

ROOT = osp.dirname(osp.dirname(osp.abspath(__file__)))
STUB = osp.join(ROOT, 'tests', 'helpers', 'sweep_stub.py')


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    """Writes a sweep file of toy runs; gives a function that starts it."""
    cfg = toy_config(tmp_path / 'unused', epochs=4, report=True)
    cfg.custom_imports.imports = ['mmdpt', 'helpers.engine_toy']
    cfg.dump(tmp_path / 'toy.py')
    monkeypatch.setattr(TOOL, 'find_tool', lambda run: STUB)
    before = signal.getsignal(signal.SIGTERM)

    def start(seeds, *args, epochs=4):
        names = [
            dict(
                name=f'seed{s}',
                config=str(tmp_path / 'toy.py'),
                seed=s,
                options={'train_cfg.max_epochs': epochs},
            )
            for s in seeds
        ]
        (tmp_path / 'sweep.py').write_text(f'runs = {names!r}\n')
        monkeypatch.setattr(
            sys,
            'argv',
            [
                'sweep.py',
                str(tmp_path / 'sweep.py'),
                '--work-dir',
                str(tmp_path / 'out'),
                '--json',
                str(tmp_path / 'table.json'),
                '--overwrite',
                *map(str, args),
            ],
        )
        code = 0
        try:
            TOOL.main()
        except SystemExit as end:
            code = end.code
        return code, {r['name']: r for r in json.load(open(tmp_path / 'table.json'))}

    start.out = tmp_path / 'out'
    start.starts = lambda name: (tmp_path / 'out' / name / 'starts').read_text().split()
    yield start
    signal.signal(signal.SIGTERM, before)


def test_runs_then_skips(sweep, capfd):
    code, table = sweep([1, 2, 3], '--slots', 2)
    assert code == 0 and {r['state'] for r in table.values()} == {'finished'}
    assert table['seed2']['accuracy'] == 52 and table['seed2']['seconds'] >= 0.2
    assert '[3/3] seed' in capfd.readouterr().out
    assert sweep([1, 2, 3, 4], '--slots', 2)[0] == 0
    assert '3 finished, 1 new; 1 to run' in capfd.readouterr().out
    assert sweep.starts('seed1') == ['0'] and sweep.starts('seed4') == ['0']
    # nothing of submitit's, whose job numbers come again, is left
    assert not list((sweep.out / '.sweep/submitit').iterdir())


def test_list_starts_nothing(sweep, capfd):
    code, table = sweep([1, 13], '--list')
    assert code == 0 and {r['state'] for r in table.values()} == {'new'}
    assert '2 runs: 2 new' in capfd.readouterr().out and not (sweep.out / 'seed1').exists()


def test_list_alone_tells_the_names(sweep, capfd):
    TOOL.main(['--list'])
    lines = dict(line.split(maxsplit=1) for line in capfd.readouterr().out.splitlines())
    assert 'dpt' in lines['--methods'].split() and 'zeroshot' in lines['--methods'].split()
    assert 'vitb16' in lines['--archs'].split() and 'eurosat' in lines['--datasets'].split()


def test_failure_is_told_kept_and_retried(sweep, capfd):
    code, table = sweep([13, 1])
    told = capfd.readouterr().err
    assert code == 1 and table['seed1']['state'] == 'finished'
    assert 'FAILED seed13: error: the seed is 13' in told and 'sweep.log' in told
    assert '--retry-failed' in told
    assert sweep([13, 1])[0] == 1 and sweep.starts('seed13') == ['0']
    sweep([13, 1], '--list')
    assert 'failed       error: the seed is 13' in capfd.readouterr().out
    (sweep.out / 'seed13/mended').touch()
    assert sweep([13, 1], '--retry-failed')[0] == 0
    assert sweep.starts('seed13') == ['0', '0'] and sweep.starts('seed1') == ['0']


def test_without_results_it_is_not_finished(sweep):
    code, table = sweep([14])
    assert code == 1 and 'results.json' in table['seed14']['error']


def test_torn_results_are_not_finished(sweep):
    sweep([1])
    whole = (sweep.out / 'seed1/results.json').read_text()
    for torn in (whole[:20], '', '[]', '{}', '{"few_shot": null}'):
        (sweep.out / 'seed1/results.json').write_text(torn)
        _, table = sweep([1], '--list')
        assert table['seed1']['state'] == 'interrupted', torn
    assert sweep([1])[0] == 0 and sweep.starts('seed1') == ['0', '4']


def test_changed_config_starts_anew_and_keeps_the_old(sweep, capfd):
    _, before = sweep([1])
    _, table = sweep([1], '--list', epochs=5)
    assert table['seed1']['state'] == 'changed'
    code, table = sweep([1], epochs=5)
    old = sweep.out / f'seed1.{before["seed1"]["hash"][:8]}'
    assert code == 0 and (old / 'results.json').exists() and str(old) in capfd.readouterr().out
    assert sweep.starts('seed1') == ['0'] and (sweep.out / 'seed1/step').read_text() == '5'


def test_foreign_folder_is_refused(sweep, capfd):
    (sweep.out / 'seed1').mkdir(parents=True)
    (sweep.out / 'seed1/epoch_1.pth').touch()
    with pytest.raises(FileNotFoundError):  # no table was written
        sweep([1])
    assert 'no sweep made it' in capfd.readouterr().err


def test_places_share_cores_and_gpus(sweep, monkeypatch):
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    monkeypatch.setattr(os, 'sched_getaffinity', lambda _: range(12))
    places = TOOL.local.slots(gpus=['0', '3'], per_gpu=2)
    assert [p['CUDA_VISIBLE_DEVICES'] for p in places] == ['0', '3', '0', '3']
    assert {p['OMP_NUM_THREADS'] for p in places} == {'3'}
    assert len(TOOL.local.slots(3)) == 3 and len(TOOL.local.slots()) == 6
    sweep([1], '--gpus', '3')
    found = json.load(open(sweep.out / 'seed1/results.json'))['environment']
    assert found == dict(CUDA_VISIBLE_DEVICES='3', OMP_NUM_THREADS='12')


@pytest.mark.parametrize(
    'args, message',
    [
        (['--slots', 0], '--slots must be at least 1'),
        (['--slots', 2, '--gpus', 0], 'give one of them'),
        (['--methods', 'dpt'], 'leave --methods out'),
        (['--only', 'nothing*'], 'fits none of the 1 runs'),
        (['--executor', 'slurm'], 'needs timeout_min=MINUTES'),
        (['--executor', 'slurm', '--slurm-options', 'timeout_min=9'], 'Could not detect "srun"'),
    ],
)
def test_refusals(sweep, capfd, args, message):
    try:
        code, _ = sweep([1], *args)
        assert code == 1
    except FileNotFoundError:  # no table was written
        pass
    assert message in capfd.readouterr().err


def wait_for(condition, seconds=30):
    end = time.time() + seconds
    while not condition():
        assert time.time() < end
        time.sleep(0.01)


@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGINT])
def test_killed_driver_loses_nothing(sweep, number):
    """Stopped three times at different moments, it still ends, each run whole."""
    seeds, steps = list(range(1, 5)), 8
    folders = [sweep.out / f'seed{s}' for s in seeds]

    def count(name):
        return sum((folder / name).exists() for folder in folders)

    finished = {}
    for wanted in (0, 1, 2):
        driver = multiprocessing.get_context('fork').Process(
            target=sweep, args=(seeds, '--slots', 2), kwargs=dict(epochs=steps)
        )
        driver.start()
        wait_for(lambda: count('results.json') >= wanted and count('step') > wanted)
        os.kill(driver.pid, number)
        driver.join()
        if number != signal.SIGKILL:  # it has waited for them
            assert not any(holder(folder) for folder in folders)
        wait_for(lambda: not any(holder(folder) for folder in folders))
        for path, content in finished.items():
            assert path.read_bytes() == content
        finished = {p: p.read_bytes() for p in sweep.out.glob('seed*/results.json')}
    code, table = sweep(seeds, '--slots', 2, epochs=steps)
    assert code == 0 and {r['state'] for r in table.values()} == {'finished'}
    attempts = [sweep.starts(f'seed{s}') for s in seeds]
    assert sum(map(len, attempts)) > len(seeds)  # some were interrupted
    assert any(begin != '0' for starts in attempts for begin in starts)  # and went on
    for path, content in finished.items():
        assert path.read_bytes() == content


def test_killed_training_can_go_on(sweep):
    """Whoever kills it, the out-of-memory killer for one: told, and resumed next time."""
    context = multiprocessing.get_context('fork')
    driver = context.Process(target=sweep, args=([1], '--slots', 1), kwargs=dict(epochs=40))
    driver.start()
    wait_for(lambda: (sweep.out / 'seed1/step').exists())
    os.killpg(holder(sweep.out / 'seed1'), signal.SIGKILL)
    driver.join()
    _, table = sweep([1], '--list', epochs=40)
    assert table['seed1']['state'] == 'interrupted' and 'memory' in table['seed1']['error']
    assert sweep([1], epochs=40)[0] == 0 and sweep.starts('seed1')[1] != '0'
    assert json.load(open(sweep.out / 'seed1/sweep_state.json'))['attempts'] == 2


def test_two_sweeps_in_one_folder(sweep, capfd):
    lock = TOOL.alone(str(sweep.out))
    with pytest.raises(FileNotFoundError):
        sweep([1])
    lock.close()
    assert 'another sweep is at work' in capfd.readouterr().err


def test_slurm(sweep, tmp_path, monkeypatch):
    """submitit's own executor, with stand-ins for sbatch, srun and sacct."""
    (tmp_path / 'bin').mkdir()
    monkeypatch.setenv('PATH', fake_slurm.install(tmp_path / 'bin'))
    options = 'partition=gpu,timeout_min=600,gpus_per_node=1,mem_gb=8,array_parallelism=4'
    code, table = sweep(
        [1, 2, 13], '--executor', 'slurm', '--slurm-options', options, '--per-gpu', 2
    )
    script = (tmp_path / 'bin/submitted').read_text()
    for line in (
        'partition=gpu',
        'time=600',
        'gpus-per-node=1',
        'mem=8GB',
        'array=0-1%2',
        'ntasks-per-node=2',
        'job-name=sweep',
    ):
        assert f'#SBATCH --{line}\n' in script
    assert code == 1 and [table[f'seed{s}']['state'] for s in (1, 2, 13)] == [
        'finished',
        'finished',
        'failed',
    ]
    assert table['seed13']['error'] == 'error: the seed is 13'
    assert sweep([1, 2], '--executor', 'slurm')[0] == 0
    assert (tmp_path / 'bin/submitted').read_text() == script  # nothing was left to submit


def test_slurm_watches_jobs_of_an_earlier_call(sweep, tmp_path, monkeypatch):
    (tmp_path / 'bin').mkdir()
    monkeypatch.setenv('PATH', fake_slurm.install(tmp_path / 'bin'))
    args = ([1, 2], '--executor', 'slurm', '--slurm-options', 'timeout_min=9')
    driver = multiprocessing.get_context('fork').Process(
        target=sweep, args=args, kwargs=dict(epochs=40)
    )
    driver.start()
    wait_for(lambda: (sweep.out / 'seed1/step').exists())
    os.kill(driver.pid, signal.SIGKILL)
    driver.join()
    script = (tmp_path / 'bin/submitted').read_text()
    code, table = sweep(*args, epochs=40)
    assert code == 0 and (tmp_path / 'bin/submitted').read_text() == script
    assert sweep.starts('seed1') == ['0']  # it never stopped


def test_slurm_preemption(sweep, tmp_path, monkeypatch):
    """SLURM's warning makes submitit queue the job again; the run goes on from its step."""
    (tmp_path / 'bin').mkdir()
    monkeypatch.setenv('PATH', fake_slurm.install(tmp_path / 'bin'))
    args = ([1], '--executor', 'slurm', '--slurm-options', 'timeout_min=9')
    driver = multiprocessing.get_context('fork').Process(
        target=sweep, args=args, kwargs=dict(epochs=40)
    )
    driver.start()
    wait_for(lambda: (sweep.out / 'seed1/step').exists())
    training = holder(sweep.out / 'seed1')
    waiting = int(open(f'/proc/{training}/stat').read().split()[3])  # its parent
    os.kill(waiting, signal.SIGUSR2)
    driver.join()
    assert (tmp_path / 'bin/scontrol_called').read_text() == 'requeue 17'
    _, table = sweep(*args, '--list', epochs=40)
    assert table['seed1']['state'] == 'interrupted' and holder(sweep.out / 'seed1') is None
    assert sweep(*args, epochs=40)[0] == 0 and int(sweep.starts('seed1')[1]) > 0


@pytest.mark.parametrize(
    'text, message',
    [('partition', "'partition' is not NAME=VALUE"), ('colour=red,timeout_min=9', 'colour')],
)
def test_slurm_options_are_checked(tmp_path, monkeypatch, text, message):
    monkeypatch.setenv('PATH', fake_slurm.install(tmp_path))
    with pytest.raises(ValueError, match=message):
        slurm.make_executor(tmp_path / 'x', slurm.parse_options(text))

"""The command mmdpt, its doors in tools/, and configs found by name."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import mmdpt_command
from mmdpt import cli, paths

ROOT = Path(__file__).resolve().parents[1]
DIGITS = ROOT / 'configs/dpt/dpt_tiny_digits_16shot.py'
RUN = 'import sys, mmdpt_command\nsys.exit(mmdpt_command.main())'


def command(*arguments, **more):
    """CompletedProcess: ``mmdpt ARGUMENTS``, as the installed script runs it."""
    line = [sys.executable, *more.pop('options', []), '-c', RUN, *map(str, arguments)]
    return subprocess.run(
        line, env={**os.environ, 'PYTHONPATH': str(ROOT)}, capture_output=True, text=True, **more
    )


def test_help_lists_the_commands_and_imports_nothing_heavy(tmp_path):
    done = command('--help', options=['-X', 'importtime'], cwd=tmp_path)
    assert done.returncode == 0
    assert [name for name in cli.COMMANDS if f'\n  {name} ' not in done.stdout] == []
    assert '| torch' not in done.stderr and '| mmengine' not in done.stderr


HELPS = """
import contextlib, io, sys, mmdpt_command
for name in sys.argv[1:]:
    sys.argv = ['mmdpt', name, '--help']
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.suppress(SystemExit):
        mmdpt_command.main()
    assert shown.getvalue().startswith(f'usage: mmdpt {name} [-h]'), name
print(*sorted({module.partition('.')[0] for module in sys.modules}))
"""


def test_help_of_no_command_imports_anything_heavy(tmp_path):
    done = subprocess.run(
        [sys.executable, '-c', HELPS, *cli.COMMANDS],
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    imported = set(done.stdout.split())
    assert 'mmdpt' in imported
    heavy = {'torch', 'mmengine', 'mmcv', 'mmpretrain', 'open_clip', 'numpy', 'sklearn', 'PIL'}
    assert not imported & (heavy | {'matplotlib', 'transformers', 'torchvision', 'gradio'})


def test_mistakes_are_told_before_anything_is_imported(tmp_path):
    done = command('train', '--sed', 'x', options=['-X', 'importtime'], cwd=tmp_path)
    assert done.returncode == 1 and 'error: ' in done.stderr
    assert '| torch' not in done.stderr and '| mmengine' not in done.stderr


def test_choices_are_those_of_the_package():
    """The command lines repeat them: importing their modules takes seconds."""
    from mmdpt.cli.arguments import demo, export, few_shot, test_protocol
    from mmdpt.datasets.sampling import SUBSETS
    from mmdpt.demo import Limits
    from mmdpt.evaluation.protocols import PROTOCOLS
    from mmdpt.export import FORMATS

    assert export.FORMATS == tuple(FORMATS)
    assert few_shot.SUBSETS == SUBSETS and test_protocol.PROTOCOLS == PROTOCOLS
    args, limits = demo.parse_args([]), Limits()
    assert args.max_megabytes == limits.megabytes
    assert args.max_megapixels == limits.megapixels
    assert args.max_total_megabytes == limits.total_megabytes


def test_garbage_is_collected_again_once_all_is_imported(tmp_path):
    code = 'import gc, mmdpt_command as c; c.prepare(); print(gc.isenabled())\n'
    code += 'try: c.door("few_shot")(["nothing.json", "--shots", "1", "--seed", "1"])\n'
    code += 'except SystemExit: print(gc.isenabled(), gc.get_freeze_count() > 100_000)'
    done = subprocess.run(
        [sys.executable, '-c', code],
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.stdout.split() == ['False', 'True', 'True'], done.stderr


@pytest.mark.parametrize(
    'arguments, words',
    [
        (['trian'], 'no command trian: did you mean train?'),
        (['xyz'], 'no command xyz: mmdpt --help lists them'),
    ],
)
def test_unknown_command(arguments, words, capsys):
    assert cli.main(arguments) == 2
    assert words in capsys.readouterr().err


def test_the_version(capsys):
    from mmdpt.version import __version__

    for option in ('--version', '-V'):
        assert cli.main([option]) is None
        assert capsys.readouterr().out == f'mmdpt {__version__}\n'


def test_a_heavy_command_has_the_whole_package(tmp_path, monkeypatch, capsys):
    """And names itself as it was typed."""
    done = command('train', 'dpt_tiny_digits_17shot', cwd=tmp_path)
    assert done.returncode == 1
    assert 'did you mean dpt_tiny_digits_1' in done.stderr
    monkeypatch.setattr(sys, 'argv', [])  # which it changes
    with pytest.raises(SystemExit) as end:
        cli.main(['test-protocol', '-h'])
    assert not end.value.code and capsys.readouterr().out.startswith('usage: mmdpt test_protocol ')


def test_each_command_has_a_door_and_each_door_a_command():
    modules = {path.stem for path in (ROOT / 'mmdpt/cli').glob('*.py')}
    modules -= {'__init__', 'transductive', 'kept_predictions'}  # parts of test
    modules -= {'more_protocols'}  # of test_protocol
    parsers = {path.stem for path in (ROOT / 'mmdpt/cli/arguments').glob('*.py')}
    assert modules == set(cli.COMMANDS) == parsers - {'__init__', 'common', 'pairs'}
    for name in modules:
        door = (ROOT / f'tools/{name}.py').read_text()
        assert f"\nmain = door('{name}')\n" in door
        assert not [node for node in ast.walk(ast.parse(door)) if isinstance(node, ast.FunctionDef)]


@pytest.mark.parametrize(
    'given',
    [
        'dpt_tiny_digits_16shot',
        'dpt_tiny_digits_16shot.py',
        'dpt/dpt_tiny_digits_16shot.py',
        'dpt/dpt_tiny_digits_16shot',
        'configs/dpt/dpt_tiny_digits_16shot.py',
        str(DIGITS),
    ],
)
def test_configs_by_name(given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Path(paths.find_config(given)) == DIGITS


def test_own_files_come_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / DIGITS.name).touch()
    assert paths.find_config(DIGITS.name) == DIGITS.name


def test_names_are_unique():
    files = [path for path in (ROOT / 'configs').rglob('*.py') if '_base_' not in path.parts]
    assert len(files) == len(paths.shipped_configs()) > 50


@pytest.mark.parametrize(
    'given, words',
    [
        ('dpt_tiny_digit_16shot', 'did you mean dpt_tiny_digits_16shot'),
        ('configs/dpt/dpt_tiny_digits_61shot.py', 'did you mean dpt_tiny_digits_'),
        ('nothing_of_ours_at_all', 'those of this project are in .*configs'),
    ],
)
def test_unknown_configs(given, words):
    with pytest.raises(FileNotFoundError, match=f'no config file {given}.*{words}'):
        paths.find_config(given)


def test_words_of_messages(tmp_path):
    text = 'run python tools/make_split.py EuroSAT, see tools/test.py and tools/dist_train.sh'
    assert paths.spoken(text) == text
    assert (
        paths.spoken(text, tmp_path / 'site-packages' / 'mmdpt')
        == 'run mmdpt make_split EuroSAT, see mmdpt test and tools/dist_train.sh'
    )


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    """Path: The script mmdpt of an environment that has the wheel, and no checkout."""
    folder = tmp_path_factory.mktemp('wheel')
    listed = subprocess.run(
        ['git', 'ls-files', '-co', '--exclude-standard'], cwd=ROOT, capture_output=True, text=True
    )
    if listed.returncode:
        pytest.skip('needs a git checkout to know what belongs to the source')
    for name in listed.stdout.splitlines():
        if not name.startswith(('tests/', 'docs/')):
            (folder / 'source' / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / 'source' / name).write_bytes((ROOT / name).read_bytes())
    pip = [sys.executable, '-m', 'pip', '--disable-pip-version-check']
    subprocess.run(
        [
            *pip,
            'wheel',
            '--no-deps',
            '--no-build-isolation',
            '--wheel-dir',
            folder,
            folder / 'source',
        ],
        check=True,
    )
    (built,) = folder.glob('*.whl')
    subprocess.run([*pip, 'install', '--no-deps', '--target', folder / 'site', built], check=True)
    return folder / 'site'


@pytest.mark.slow
def test_from_a_wheel(wheel, tmp_path):
    """In an empty folder: configs by name, trained, tested, predicted with, swept."""

    def run(*arguments):
        done = subprocess.run(
            [sys.executable, wheel / 'bin/mmdpt', *map(str, arguments)],
            cwd=tmp_path,
            text=True,
            env={**os.environ, 'PYTHONPATH': str(wheel)},
            capture_output=True,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout + done.stderr

    assert re.search(r'^([1-9]\d*) runs: \1 new$', run('sweep', 'tiny_digits', '--list'), re.M)
    shown = run(
        'train',
        'dpt_tiny_digits_1shot',
        '--cfg-options',
        'train_cfg.max_epochs=2',
        'model.head.guided_epochs=1',
    )
    checkpoint = 'work_dirs/dpt_tiny_digits_1shot/epoch_2.pth'
    assert f'mmdpt predict {checkpoint} IMAGE' in shown and 'tools/' not in shown
    run('test', 'dpt_tiny_digits_1shot', checkpoint, '--out', 'metrics.json')
    assert (tmp_path / 'metrics.json').is_file()


def test_waiting_threads(monkeypatch):
    """They sleep soon; what the user has chosen stays."""
    chosen = {'OMP_WAIT_POLICY': 'ACTIVE'}
    for given, wanted in (
        ({}, {'OMP_WAIT_POLICY': 'PASSIVE', 'GOMP_SPINCOUNT': '1000'}),
        (dict(chosen), chosen),
    ):
        monkeypatch.setattr(os, 'environ', given)
        mmdpt_command.wait_briefly()
        assert given == wanted

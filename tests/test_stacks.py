"""OpenMMLab's packages or the fork; every Python that setup.py declares."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from mmdpt.utils import stack

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = ("pip install 'mmdpt[openmmlab]'", "pip install 'mmdpt[onedl]'")
RUN = 'import mmdpt_command as m; sys.exit(m.main())'


def without(blocked, code, *arguments):
    """Runs code in a fresh interpreter that cannot import some packages."""
    block = f'import sys; sys.modules.update(dict.fromkeys({blocked!r}))\n'
    return subprocess.run(
        [sys.executable, '-c', block + code, *arguments], cwd=ROOT, capture_output=True, text=True
    )


@pytest.mark.parametrize('blocked', [['mmcv'], ['mmengine', 'mmcv', 'mmpretrain']])
def test_import_without_says_what_to_install(blocked):
    done = without(blocked, 'import mmdpt')
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1 and last.startswith('ModuleNotFoundError: mmdpt needs ')
    assert blocked[0] in last and all(command in last for command in COMMANDS)


@pytest.mark.parametrize('command', [['train', 'dpt_tiny_digits_16shot'], ['predict', 'a', 'b']])
def test_command_without_says_it_in_one_message(command):
    done = without(['mmengine', 'mmcv', 'mmpretrain'], RUN, *command)
    assert done.returncode == 1 and done.stdout == ''
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith('error: mmdpt needs mmengine and mmcv and mmpretrain')
    assert all(command in line for command in COMMANDS)


def test_library_that_a_bare_machine_lacks(tmp_path):
    """As on Debian without a desktop: MMCV imports OpenCV, which does not load."""
    (tmp_path / 'cv2.py').write_text(
        "raise ImportError('libGL.so.1: cannot open shared object file: No such file')"
    )
    code = f'sys.path.insert(0, {str(tmp_path)!r})\n' + RUN
    done = without([], code, 'train', 'dpt_tiny_digits_16shot')
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1 and 'Traceback' not in done.stderr
    assert last.startswith('error: libGL.so.1') and 'apt-get install libgl1 libxcb1' in last


def test_bug_shows_its_traceback(tmp_path):
    (tmp_path / 'cv2.py').write_text("raise ImportError('something else')")
    code = f'sys.path.insert(0, {str(tmp_path)!r})\n' + RUN
    done = without([], code, 'train', 'dpt_tiny_digits_16shot')
    assert done.returncode == 1 and 'Traceback' in done.stderr


def test_help_needs_neither():
    done = without(['mmengine', 'mmcv', 'mmpretrain', 'torch'], RUN, 'train', '--help')
    assert done.returncode == 0 and 'usage' in done.stdout


def test_two_owners_of_one_name(tmp_path, monkeypatch):
    """Both stacks at once: the files of one lie among those of the other."""
    stack.check_stack()
    here = stack.installed('mmengine')[0].split()[0]
    other = 'mmengine' if here.startswith('onedl') else 'onedl-mmengine'
    info = tmp_path / f'{other.replace("-", "_")}-0.10.99.dist-info'
    info.mkdir()
    (info / 'METADATA').write_text(f'Metadata-Version: 2.1\nName: {other}\nVersion: 0.10.99\n')
    monkeypatch.setattr(sys, 'path', [*sys.path, str(tmp_path)])
    with pytest.raises(ImportError) as error:
        stack.check_stack()
    text = str(error.value)
    owners = re.search(r'one import name: mmengine \((.*?)\)\.', text).group(1)
    assert f'{here} 0.' in owners and f'{other} 0.10.99' in owners
    remove = re.search(r'pip uninstall -y ([^)]*)\)', text).group(1).split()
    assert {'mmengine', 'onedl-mmengine'} <= set(remove) and len(remove) == 4
    assert all(command in text for command in COMMANDS)


def test_folder_of_a_clone_is_no_package(tmp_path, monkeypatch):
    (tmp_path / 'mmwhatever').mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(stack.OWNERS, 'mmwhatever', ())
    with pytest.raises(ModuleNotFoundError, match='mmdpt needs mmwhatever'):
        stack.check_stack()


@pytest.fixture(scope='module')
def setup_py():
    """What setup.py says."""
    code = (
        'import json, setuptools\n'
        'setuptools.setup = lambda **k: print(json.dumps([k[n] for n in NAMES]))\n'
        'exec(open("setup.py").read())\n'
    )
    names = ['install_requires', 'extras_require', 'python_requires', 'classifiers']
    done = subprocess.run(
        [sys.executable, '-c', f'NAMES = {names}; __file__ = "setup.py"\n' + code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(zip(names, ast.literal_eval(done.stdout.splitlines()[-1])))


def test_neither_stack_is_forced(setup_py):
    always = ' '.join(setup_py['install_requires'])
    assert 'torch' in always and not re.search('mmengine|mmcv|mmpretrain', always)
    extras = {k: ' '.join(v) for k, v in setup_py['extras_require'].items()}
    for name in stack.OWNERS:
        assert name in extras['openmmlab'] and f'onedl-{name}' in extras['onedl']
    assert 'onedl' not in extras['openmmlab']
    assert extras['mmcv-lite'] == extras['openmmlab']  # the name in commands written before
    assert not any('mmengine' in v for k, v in extras.items() if k in ('test', 'dev', 'demo'))


def pins(file):
    """Name to version of a constraints file, those that it includes first."""
    found = {}
    for line in (ROOT / file).read_text().splitlines():
        if line.startswith('-c '):
            found |= pins(line[3:])
        elif line and not line.startswith('#'):
            name, version = line.split('==')
            found[canonicalize_name(name)] = version
    return found


@pytest.mark.parametrize(
    'file, extra', [('constraints.txt', 'openmmlab'), ('constraints-onedl.txt', 'onedl')]
)
def test_constraints_pin_a_stack(setup_py, file, extra):
    found = pins(file)
    for text in setup_py['extras_require'][extra] + setup_py['install_requires']:
        requirement = Requirement(text)
        assert requirement.specifier.contains(found[canonicalize_name(requirement.name)]), text
    assert f'-c {file}' in (ROOT / file).read_text().split('==')[0]  # the command that uses it


def test_pythons_are_the_same_everywhere(setup_py):
    allowed = SpecifierSet(setup_py['python_requires'])
    named = [c.rsplit(' ', 1)[1] for c in setup_py['classifiers'] if 'Python :: 3.' in c]
    assert named == ['3.10', '3.11', '3.12', '3.13']
    assert [v for v in range(8, 16) if f'3.{v}.1' in allowed] == [10, 11, 12, 13]
    workflow = (ROOT / '.github' / 'workflows' / 'ci.yml').read_text()
    matrix = re.search(r'python: \[(.*)\]', workflow).group(1)
    assert re.findall(r'[\d.]+', matrix) == named
    assert re.search(r'stack: \[openmmlab, onedl\]', workflow)


# Of the standard library, what came after 3.10 and is easily taken.
NEWER = {
    'hashlib': {'file_digest'},
    'datetime': {'UTC'},
    'contextlib': {'chdir'},
    'enum': {'StrEnum', 'verify'},
    'typing': {'Self', 'assert_never', 'Never', 'LiteralString', 'Unpack', 'override'},
    'itertools': {'batched'},
    'math': {'exp2', 'cbrt', 'sumprod'},
    'operator': {'call'},
}
MODULES = {'tomllib'}
BUILTINS = {'ExceptionGroup', 'BaseExceptionGroup'}


def newer(tree):
    """What a module takes that Python 3.10 has not."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names} & MODULES
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module} & MODULES
            found |= {a.name for a in node.names} & NEWER.get(node.module, set())
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found |= {node.attr} & NEWER.get(node.value.id, set())
        elif isinstance(node, ast.Name):
            found |= {node.id} & BUILTINS
    return found


def test_nothing_that_the_oldest_python_lacks():
    assert newer(ast.parse('import hashlib\nhashlib.file_digest(f, "md5")')) == {'file_digest'}
    listed = subprocess.run(
        ['git', 'ls-files', '*.py'], cwd=ROOT, capture_output=True, text=True, check=True
    )
    files = listed.stdout.split()
    assert len(files) > 500
    for file in files:
        tree = ast.parse((ROOT / file).read_text(encoding='utf-8'), feature_version=(3, 10))
        assert not newer(tree), file

"""No option that names an output costs a file."""

import csv
import io
import json
import os
from pathlib import Path

import pytest
from helpers.tools import tool

from mmdpt.apis.outputs import CsvFile, JsonFile, Table
from mmdpt.results import Row, read_csv, write_csv
from mmdpt.utils.files import replacing, write_text
from mmdpt.utils.outputs import KINDS, Output, check_outputs
from mmdpt.utils.text import cell, from_cell, visible

CONTENT = dict(
    json=b'{"a": 1}',
    jsonl=b'{"a": 1}\n',
    suggestions=b'rank,path,class,probability\r\n',
    html=b'<!doctype html>\n',
    config=b'"""GDA on own photos.\n"""\n',
    predictions=b'image,class,probability,error\r\n',
    runs=b'protocol,method,arch,dataset,subset\r\n',
    markdown=b'### Few-shot\n',
    latex=b'% needs \\usepackage{booktabs}\n',
    yaml=b'a: 1\n',
    pickle=b'\x80\x04N.',
    checkpoint=b'PK\x03\x04',
    logits=b'PK\x03\x04',
    torch=b'PK\x03\x04',
    onnx=b'\x08\x0a',
    png=b'\x89PNG\r\n',
    pdf=b'%PDF-1.4',
    svg=b'<?xml version="1.0"?>',
)
OTHER = dict(json=b'image,class\n', jsonl=b'image,class\n')


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize('kind', KINDS)
def test_kinds(kind):
    """A file of the kind needs --overwrite; one of another kind stays in any case."""
    path = f'x{KINDS[kind].endings[0]}'
    wanted = [Output('--out', path, kind)]
    check_outputs(wanted, [])
    Path(path).write_bytes(CONTENT[kind])
    with pytest.raises(FileExistsError, match='is there already: .*--overwrite'):
        check_outputs(wanted, [])
    check_outputs(wanted, [], overwrite=True)
    with pytest.raises(ValueError, match='is read by this command'):
        check_outputs(wanted, [path], overwrite=True)
    Path('x.mp3').write_bytes(CONTENT[kind])
    with pytest.raises(ValueError, match='of another kind'):
        check_outputs([Output('--out', 'x.mp3', kind)], [], overwrite=True)
    if KINDS[kind].beginnings:
        Path(path).write_bytes(OTHER.get(kind, b'{something else}'))
        with pytest.raises(ValueError, match='of another kind'):
            check_outputs(wanted, [], overwrite=True)
    Path(path).write_bytes(b'')  # nothing to lose, as mktemp makes
    check_outputs(wanted, [])


@pytest.mark.parametrize('name', ['a.json', './a.json', 'sub/../a.json', 'link.json', 'hard.json'])
def test_one_file_by_other_names(name):
    Path('a.json').write_text('{}')
    Path('sub').mkdir()
    os.symlink('a.json', 'link.json')
    os.link('a.json', 'hard.json')
    with pytest.raises(ValueError, match='is read by this command'):
        check_outputs([Output('--json', name, 'json')], ['a.json'], overwrite=True)
    both = [Output('--json', 'a.json', 'json'), Output('--out', name, 'json')]
    with pytest.raises(ValueError, match='--json and --out both name'):
        check_outputs(both, [], overwrite=True)


@pytest.mark.parametrize('second', ['new.x', './new.x', 'NEW.X', 'link'])
def test_one_new_name_twice(second):
    os.symlink('new.x', 'link')
    with pytest.raises(ValueError, match='--json and --csv both name'):
        check_outputs(
            [Output('--json', 'new.x', 'json'), Output('--csv', second, 'predictions')], []
        )


def test_places_that_cannot_be_written():
    os.mkdir('folder')
    for path, error, words in [
        ('folder', IsADirectoryError, 'Is a directory'),
        ('no/x.json', FileNotFoundError, 'there is no folder'),
    ]:
        with pytest.raises(error, match=f'cannot write {path}: {words}'):
            check_outputs([Output('--json', path, 'json')], [])
    Path('folder/found.json').write_text('[]')
    with pytest.raises(ValueError, match='lies in .*folder, which this command reads'):
        check_outputs([Output('--json', 'folder/found.json', 'json')], ['folder'], overwrite=True)
    check_outputs([Output('--json', 'folder/new.json', 'json')], ['folder'])
    check_outputs([Output('--json', '/dev/null', 'json'), Output('--csv', '/dev/null', 'runs')], [])


COMMANDS = [
    ('predict', 'x.pth', 'a.png', '--json', 'FILE'),
    ('predict', 'x.pth', 'a.png', '--csv', 'FILE'),
    ('predict', 'zero-shot', 'a.png', '--classes', 'names.txt', '--csv', 'FILE'),
    ('test', 'c.py', 'x.pkl', '--out', 'x.pkl'),
    ('test', 'c.py', 'x.json', '--out', 'x.json'),
    ('export', 'x.pt2', '--format', 'torch', '--out', 'x'),
    ('visualize_attention', 'x.pth', 'a.png', '--out', '.'),
    ('convert_checkpoint', 'c.py', 'x.pth', '--out', 'FILE'),
    ('convert_checkpoint', 'c.py', 'visual=x.pth', '--out', 'FILE'),
    ('convert_checkpoint', 'c.py', 'x.pth', '--back', '--out', 'FILE'),
    ('collect_results', 'results.json', '--json', 'FILE'),
    ('collect_results', 'results.json', '--csv', 'FILE'),
    ('collect_results', '.', '--json', 'FILE'),
    ('collect_results', '.', '--markdown', 'FILE'),
    ('collect_results', '.', '--latex', 'FILE'),
    ('few_shot', 'split.json', '--shots', 1, '--seed', 1, '--json', 'FILE'),
    ('check_dataset', 'split.json', '--json', 'FILE'),
    ('nearest_words', 'x.pth', '--json', 'FILE'),
    ('visualize_attention', 'x.pth', 'a.png', '--out', 'a.png'),
    ('export', 'x.pth', '--json', 'FILE'),
    ('test_protocol', 'c.py', 'x.pth', '--protocol', 'base-to-new', '--json', 'FILE'),
    ('sweep', 'sweep.json', '--json', 'FILE'),
    ('cache', '--json', 'FILE'),
]
FILES = dict(
    CONTENT_PTH=('x.pth', b'PK\x03\x04'),
    pickle=('x.pkl', b'\x80\x04N.'),
    config=('c.py', b'model = dict()'),
    image=('a.png', b'\x89PNG\r\n'),
    names=('names.txt', b'cat\ndog\n'),
    split=('split.json', b'{}'),
    sweep=('sweep.json', b'{}'),
    results=('results.json', b'{"few_shot": 1}'),
    runs=('runs.csv', b'protocol,method,arch,dataset,subset\r\n'),
    notes=('notes.py', b'my = {}'),
    checkpoint_2=('x.json', b'{}'),
    checkpoint_3=('x.pt2', b'PK\x03\x04'),
    json=('out.json', b'[1]'),
    predictions=('out.pkl', b'\x80\x04N.'),
)


@pytest.mark.parametrize('overwrite', [False, True])
@pytest.mark.parametrize('command', COMMANDS, ids=lambda c: ' '.join(map(str, c)))
def test_every_command_leaves_every_file(command, overwrite, capsys):
    """Without --overwrite all that is there; with it what is read, and other people's files."""
    for name, content in FILES.values():
        Path(name).write_bytes(content)
    named = {str(part).rpartition('=')[2] for part in command[1:]}
    read = {'results.json'} if '.' in named else named & {name for name, _ in FILES.values()}
    targets = (read | {'notes.py'}) if overwrite else {name for name, _ in FILES.values()}
    for target in targets if 'FILE' in command else ['as it is']:
        name, *arguments = [target if part == 'FILE' else part for part in command]
        with pytest.raises(SystemExit) as end:
            tool(name, *arguments, *['--overwrite'] * overwrite)
        assert end.value.code not in (0, None)
        said = capsys.readouterr().err + str(end.value.code)
        assert 'Traceback' not in said
        reasons = ('is read by', 'another kind', 'is there already', 'lies in')
        assert any(words in said for words in reasons), said
        for file, content in FILES.values():
            assert Path(file).read_bytes() == content
    assert not [name for name in os.listdir() if '.tmp' in name]


def test_overwrite_replaces():
    """What was asked for is done: the same command twice."""
    items = [[f'{i}.png', i % 2, 'ab'[i % 2]] for i in range(8)]
    Path('split.json').write_text(json.dumps(dict(train=items, val=items, test=items)))
    command = ('few_shot', 'split.json', '--shots', 1, '--json', 'drawn.json')
    tool(*command, '--seed', 1)
    first = Path('drawn.json').read_text()
    with pytest.raises(SystemExit, match='is there already'):
        tool(*command, '--seed', 2)
    assert Path('drawn.json').read_text() == first
    tool(*command, '--seed', 2, '--overwrite')
    assert json.loads(Path('drawn.json').read_text())['seed'] == 2


ODD = os.fsdecode(b'caf\xe9.png')
ROWS = [
    dict(image='a.png', classes=[dict(name='=1+1', probability=0.5)]),
    dict(image=ODD, classes=[dict(name='\x1b[31mred\nline', probability=0.25)]),
    dict(image='-z.png', error=f'{ODD} does not decode'),
    dict(image='last.png', classes=[dict(name='ok', probability=0.125)]),
]


def test_names_that_are_no_utf8():
    """All rows are there, also those after the odd one."""
    for make in (JsonFile, lambda path: CsvFile(path, 1)):
        path = 'all.json' if make is JsonFile else 'all.csv'
        file = make(path)
        for row in ROWS:
            file.write(row)
        assert not os.path.exists(path)  # not before it is complete
        file.close()
    assert json.loads(Path('all.json').read_bytes()) == ROWS
    with open('all.csv', encoding='utf-8', newline='') as file:
        head, *rows = csv.reader(file)
    assert [row[0] for row in rows] == ['a.png', 'caf\\udce9.png', "'-z.png", 'last.png']
    assert rows[0][1] == "'=1+1" and rows[1][1] == '\x1b[31mred\nline'
    assert os.listdir() and not [name for name in os.listdir() if '.tmp' in name]


@pytest.mark.parametrize('encoding', ['utf-8', 'ascii', 'latin-1'])
def test_nothing_reaches_the_terminal_raw(encoding, monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr('sys.stdout', io.TextIOWrapper(raw, encoding=encoding))
    table = Table([row['image'] for row in ROWS], ['ok', 'été', '\u202egnp'])
    for row in [*ROWS, dict(image='x', classes=[dict(name='été\u202e\x9b', probability=1.0)])]:
        table.write(row)
    text = raw.getvalue().decode(encoding)
    assert all(line.isprintable() for line in text.splitlines())
    assert len(text.splitlines()) == len(ROWS) + 1
    assert '\\x1b[31mred\\nline' in text and 'caf\\udce9.png' in text and '\\u202e' in text


FORMULAS = ['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1', '\n=1', ' =1', '＝1', "'=1", "'", '']


@pytest.mark.parametrize('text', [*FORMULAS, 'cat', 'a=b', 'a-b', "it's"])
def test_cells(text):
    assert from_cell(cell(text)) == text
    assert not cell(text).strip().startswith(('=', '+', '-', '@', '＝'))


def test_runs_there_and_back():
    rows = [Row(method=text, dataset='d', note=text, accuracy=1.5, shots=1) for text in FORMULAS]
    write_csv(rows, 'runs.csv')
    assert read_csv('runs.csv') == rows


def test_visible():
    assert visible('a\x1b]0;x\x07b') == 'a\\x1b]0;x\\x07b'
    assert visible('plain é 犬') == 'plain é 犬'
    assert visible('a\nb\r\u2028') == 'a\\nb\\r\\u2028'


def test_replacing():
    Path('x.txt').write_text('former')
    with pytest.raises(RuntimeError), replacing('x.txt') as place:
        Path(place).write_text('half')
        raise RuntimeError
    assert Path('x.txt').read_text() == 'former' and os.listdir() == ['x.txt']
    os.symlink('x.txt', 'link')
    with replacing('link') as place:
        assert place.endswith('.txt')
        Path(place).write_text('new')
    assert Path('x.txt').read_text() == 'new' and os.path.islink('link')
    write_text(json.dumps(ODD, ensure_ascii=False), 'odd.json')
    assert json.loads(Path('odd.json').read_bytes()) == ODD


def test_names_of_a_split_file_on_the_screen(capsys):
    items = [[f'{i}.png', 0, 'a\x1b[2J\nb\u202e'] for i in range(4)]
    Path('split.json').write_text(json.dumps(dict(train=items, val=items, test=items)))
    tool('few_shot', 'split.json', '--shots', 2, '--seed', 1)
    out = capsys.readouterr().out
    assert 'a\\x1b[2J\\nb\\u202e' in out
    assert all(line.replace('\t', ' ').isprintable() for line in out.splitlines())


def test_names_in_an_error(capsys):
    from mmdpt.engine.cli import friendly_errors

    with pytest.raises(SystemExit), friendly_errors():
        raise ValueError('no class \x1b[31mred\x07')
    assert 'error: no class \\x1b[31mred\\x07\n' in capsys.readouterr().err

"""The documentation: it builds, its links lead somewhere, its commands exist and are run."""

import argparse
import ast
import importlib.util
import itertools
import logging
import os
import re
import sys
from pathlib import Path

import pytest
from helpers.doc_blocks import NEEDS, PAGES, ROOT, blocks, commands, inline_commands
from helpers.tools import tool
from helpers.trees import write_photos, write_tree

SHELL = [block for page in PAGES for block in blocks(page) if block.is_shell]
EVERY = [(block.place, words) for block in SHELL for words in commands(block.text)]
EVERY += [(page.name, words) for page in PAGES for words in inline_commands(page)]
WORDS = re.compile(r'^[A-Z][A-Z_0-9]*$')  # CONFIG, CKPT: to be filled in


class Parsed(Exception):
    """Carries what a tool has made of a command line."""


# ---- the site


@pytest.fixture(scope='module')
def site(tmp_path_factory):
    """What ``mkdocs build --strict`` makes; a dead link ends the build."""
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    folder = tmp_path_factory.mktemp('site')
    logging.getLogger('mkdocs').setLevel(logging.WARNING)
    build(load_config(str(ROOT / 'mkdocs.yml'), site_dir=str(folder)))
    return folder


def test_builds_and_fetches_nothing(site):
    pages = list(site.rglob('*.html'))
    assert len(pages) > len(list((ROOT / 'docs').glob('*.md')))
    for page in pages:
        text = page.read_text(encoding='utf-8')
        fetched = re.findall(r'<(?:script|img|iframe)[^>]*\ssrc="(?:https?:)?//[^"]*', text)
        fetched += re.findall(r'<link[^>]*rel="stylesheet"[^>]*href="(?:https?:)?//[^"]*', text)
        assert not fetched, f'{page.name} fetches {fetched}'
    for style in site.rglob('*.css'):
        assert not re.search(r'url\(["\']?(https?:)?//', style.read_text(encoding='utf-8')), style


@pytest.mark.parametrize('broken', ['[a](nowhere.md)', '[a](index.md#nowhere)', '[a](../setup.py)'])
def test_a_dead_link_ends_the_build(broken, tmp_path):
    from mkdocs.commands.build import build
    from mkdocs.config import load_config
    from mkdocs.exceptions import Abort

    docs = tmp_path / 'docs'
    docs.mkdir()
    (docs / 'index.md').write_text(f'# Start\n\n{broken}\n')
    with pytest.raises(Abort):
        build(
            load_config(
                str(ROOT / 'mkdocs.yml'),
                docs_dir=str(docs),
                nav=None,
                site_dir=str(tmp_path / 'site'),
            )
        )


def test_links_of_the_readme():
    from markdown.extensions.toc import slugify

    for target in re.findall(r'\]\(([^)]+)\)', (ROOT / 'README.md').read_text()):
        if target.startswith('http'):
            continue
        path, _, anchor = target.partition('#')
        page = ROOT / path
        assert page.is_file(), target
        if anchor:
            heads = re.findall(r'^#+ (.*)$', page.read_text(), re.MULTILINE)
            assert anchor in [slugify(head.replace('`', ''), '-') for head in heads], target


def test_files_that_pages_name_exist():
    """Paths between backticks: `configs/...`, `tools/...`, `tests/...`, `mmdpt/...`."""
    missing = []
    for page in PAGES:
        for span in re.findall(r'`([^`\n]+)`', page.read_text(encoding='utf-8')):
            for path in NAMED.findall(span):
                names = braces(re.sub(r'\b[A-Z]{4,}\b', '*', path.rstrip('.,/')))
                found = [file for name in names for file in ROOT.glob(name)]
                if not found and not path.endswith('...') and path not in MADE:
                    missing.append(f'{page.name}: {path}')
    assert not missing


NAMED = re.compile(r'(?<![\w./])((?:configs|tools|tests|mmdpt|docs)/[\w./{},*-]+)')
# Files that a reader makes, by the page that tells how.
MADE = {
    'configs/dpt/mugs.py',
    'mmdpt/.mim',
    'configs/_base_/methods/shared_vpt.py',
    'configs/shared_vpt/shared_vpt_tiny_digits_16shot.py',
}


def test_pages_are_short():
    """A page of more than 200 lines is two pages."""
    assert not [page.name for page in PAGES if len(page.read_text().splitlines()) > 200]


def test_maths_names_what_the_code_has():
    """Identifiers between backticks in the pages of formulas are in the package."""
    page = '\n'.join(path.read_text(encoding='utf-8') for path in ROOT.glob('docs/maths*.md'))
    code = '\n'.join(path.read_text(encoding='utf-8') for path in (ROOT / 'mmdpt').rglob('*.py'))
    names = set(re.findall(r'`([A-Za-z_]\w*(?:\.\w+)?)`', page))
    assert len(names) > 40
    logged = {name for name in names if name.startswith('loss_')}  # loss_NAME, in parts
    wanted = {part for name in names - logged for part in name.split('.')}
    wanted |= {name.removeprefix('loss_') for name in logged}
    missing = [name for name in wanted if not re.search(rf'\b{name}\b', code)]
    assert not missing


def test_lists_begin_after_an_empty_line():
    """Else the site runs them into the paragraph before, though GitHub does not."""
    bad = []
    for page in PAGES[1:]:
        text = page.read_text(encoding='utf-8')
        for block in blocks(page):
            text = text.replace(block.text, '')
        lines = ['', *text.splitlines()]
        bad += [
            f'{page.name}: {line}'
            for before, line in zip(lines, lines[1:])
            if re.match(r'([*-]|\d+\.) ', line)
            and before.strip()
            and not re.match(r'([*-]|\d+\.) |\s|#', before)
        ]
    assert not bad


def braces(text):
    """list[str]: As a shell expands ``{a,b}``."""
    parts = [
        part[1:-1].split(',') if part.startswith('{') else [part]
        for part in re.split(r'(\{[^{}]*,[^{}]*\})', text)
    ]
    return [''.join(choice) for choice in itertools.product(*parts)]


# ---- markers


@pytest.mark.parametrize('block', SHELL, ids=lambda block: block.place)
def test_each_block_is_run_or_says_what_it_needs(block):
    kind, _, rest = block.marker.partition(':')
    if kind == 'needs':
        needs = {word.strip() for word in rest.split(',')}
        assert needs and needs <= set(NEEDS), f'{block.place}: {needs} are none of {list(NEEDS)}'
    elif kind == 'ci':
        assert f'\nrun {rest}\n' in (ROOT / '.ci' / 'run').read_text()
    elif rest:
        runs_it(block, rest.strip())
    else:
        assert kind == 'run', (
            f'{block.place} has no marker: put <!-- run: test_NAME.py --> or <!-- needs: data --> '
            'before the block (tests/helpers/doc_blocks.py)'
        )
        assert block.page.stem in HERE or runs_page(block.page)


def runs_it(block, name):
    """The named test file calls the block's tools, with every option."""
    text = (ROOT / 'tests' / name).read_text()
    for command in commands(block.text):
        if not is_tool(command):
            assert ' '.join(command) in text, f'{block.place}: tests/{name} does not have {command}'
            continue
        wanted = [Path(command[1]).stem] + [w for w in command[2:] if w.startswith('--')]
        missing = [w for w in wanted if not re.search(rf'[\'"/]{re.escape(w)}[\'".=]', text)]
        assert not missing, f'{block.place}: tests/{name} does not have {missing}'


def runs_page(page):
    """Whether the page has a test file that reads its blocks and runs them."""
    test = ROOT / 'tests' / f'test_{page.stem}.py'
    text = test.read_text() if test.is_file() else ''
    return f"'{page.name}'" in text and '<!-- run' in text


# ---- commands exist


def parse(words, monkeypatch):
    """argparse.Namespace | None: A tool's view of its command line, without running it."""
    module = load(Path(words[1]).stem)
    stock = argparse.ArgumentParser.parse_args

    def stop(self, *args, **kwargs):
        raise Parsed(stock(self, *args, **kwargs))

    monkeypatch.setattr(argparse.ArgumentParser, 'parse_args', stop)
    monkeypatch.setattr(sys, 'argv', words[1:])
    try:
        module.main()
    except Parsed as parsed:
        return parsed.args[0]


LOADED = {}


def load(name):
    """A tool as a module, once."""
    if name not in LOADED:
        spec = importlib.util.spec_from_file_location(f'tool_{name}', ROOT / 'tools' / f'{name}.py')
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        LOADED[name] = module
    return LOADED[name]


def check_options(config, options):
    """Every ``KEY=VALUE`` is a setting of the config."""
    from mmengine.config import Config

    from mmdpt.engine import options as checks

    checks.check_options(Config.fromfile(str(ROOT / config)), options)


def is_tool(words):
    return words[0] == 'python' and len(words) > 1 and words[1].startswith('tools/')


def expanded(words):
    """list[list[str]]: The command, once for each choice in braces."""
    return [list(choice) for choice in itertools.product(*map(braces, words))]


def has_options(place, tool_path, words):
    """For a command that is not written out: its tool knows these options."""
    known = ROOT / 'mmdpt/cli/arguments'  # of a developers' tool there is no file
    own = known / Path(tool_path).name
    files = [ROOT / tool_path, known / 'common.py', *([own] if own.is_file() else [])]
    texts = ''.join(file.read_text() for file in files)
    missing = [w for w in words if w.startswith('--') and f"'{w}'" not in texts]
    assert not missing, f'{place}: {tool_path} has no {missing}'


@pytest.mark.parametrize(
    'place, words',
    [
        pytest.param(place, words, id=f'{place} {" ".join(words[1:3])}'[:70])
        for place, words in EVERY
        if is_tool(words)
    ],
)
def test_tools_take_their_options(place, words, monkeypatch, capsys):
    assert (ROOT / words[1]).is_file(), words[1]
    named = not [word for word in words[2:] if not word.startswith('-')]  # a name, options
    if words[1] == 'tools/mmpretrain_tool.py' or '...' in words or named:
        return has_options(place, words[1], words[2:])
    found = 0
    for command in expanded(words):
        try:
            args = parse(command, monkeypatch)
        except SystemExit:
            raise AssertionError(f'{place}: {capsys.readouterr().err.strip()[-400:]}') from None
        config = getattr(args, 'config', None)
        if isinstance(config, str) and config.endswith('.py'):
            found += (ROOT / config).is_file() or config in MADE
            if (ROOT / config).is_file():
                check_options(config, getattr(args, 'cfg_options', None) or {})
        else:
            found += 1
    assert found, f'{place}: there is no {config}'


@pytest.mark.parametrize(
    'place, words',
    [
        pytest.param(place, words, id=f'{place} {" ".join(words)[:50]}')
        for place, words in EVERY
        if not is_tool(words)
    ],
)
def test_other_commands(place, words):
    """Files, extras, scripts, commands of ours that they name are there."""
    ours = words[0] == 'mmdpt' and len(words) > 1
    assert not ours or words[1] in ('--help', 'COMMAND', 'NAME'), f'{place}: no command {words[1]}'
    if words[0].startswith('tools/') and words[0].endswith('.py'):
        has_options(place, words[0], words[1:])
    elif words[0].startswith('tools/'):
        assert os.access(ROOT / words[0], os.X_OK), f'{place}: {words[0]} cannot be run'
    if words[0] == 'TOOL' and len(words) > 1:
        from mmpretrain_compat import scripts

        assert words[1] in scripts(), f'{place}: MMPretrain has no script {words[1]}'
    for path in (w for w in words if re.match(r'(tests|configs|tools)/[\w/.-]+\.(py|sh)$', w)):
        assert (ROOT / path).is_file(), f'{place}: there is no {path}'
    for extras in re.findall(r'(?:mmdpt|\.)\[([\w,-]+)\]', ' '.join(words)):
        known = re.findall(r"^    '([\w-]+)': ", (ROOT / 'setup.py').read_text(), re.MULTILINE)
        assert set(extras.split(',')) <= set(known), f'{place}: setup.py has no extra {extras}'


TRAIN = 'python tools/train.py configs/dpt/dpt_tiny_digits_16shot.py'


@pytest.mark.parametrize(
    'marker, command, words',
    [
        ('', TRAIN, 'has no marker'),
        ('<!-- needs: luck -->', TRAIN, 'luck'),
        ('<!-- run: test_clip.py -->', TRAIN, 'does not have'),
        (
            '<!-- needs: minutes -->',
            f'{TRAIN} --sede 3',
            'train has no --sede: did you mean --seed',
        ),
        ('<!-- needs: minutes -->', TRAIN.replace('16shot', '17shot'), 'there is no'),
        ('<!-- needs: minutes -->', f'{TRAIN} --cfg-options model.hat.loss=1', 'hat'),
        ('<!-- needs: gpu -->', 'tools/no_train.sh CONFIG 8', 'cannot be run'),
        ('<!-- needs: data -->', 'mmdpt trian dpt_tiny_digits_16shot', 'no command trian'),
        ('<!-- needs: network -->', "pip install 'mmdpt[hat]'", 'no extra'),
    ],
)
def test_what_the_checks_refuse(marker, command, words, tmp_path, monkeypatch, capsys):
    page = tmp_path / 'page.md'
    page.write_text(f'# Page\n\n{marker}\n```bash\n{command}\n```\n')
    (block,) = blocks(page)
    (parts,) = commands(block.text)
    with pytest.raises((AssertionError, ValueError, KeyError), match=words):
        test_each_block_is_run_or_says_what_it_needs(block)
        if is_tool(parts):
            test_tools_take_their_options(block.place, parts, monkeypatch, capsys)
        else:
            test_other_commands(block.place, parts)


# ---- commands that are run here


def few_shot_data(root):
    write_tree(root / 'data', 'EuroSAT')
    write_tree(root / 'data', 'ImageNet')


def photos(root):
    write_photos(root / 'photos', count=10)


def many_runs(root):
    from helpers.grid import write_grid

    write_grid(root / 'work_dirs')


# What must lie in the folder where a page's blocks marked <!-- run --> are run.
HERE = dict(datasets=few_shot_data, own_data=photos, results=many_runs)


@pytest.mark.parametrize('page', HERE)
def test_run(page, tmp_path, monkeypatch, capsys):
    for name in ('tools', 'configs'):
        os.symlink(ROOT / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    HERE[page](tmp_path)
    found = [b for b in SHELL if b.page.stem == page and b.marker == 'run']
    assert found, f'{page}.md has no block marked <!-- run -->: take it out of HERE'
    for command in (c for block in found for c in commands(block.text)):
        assert is_tool(command), f'{page}.md: {command} cannot be run here'
        try:
            tool(Path(command[1]).stem, *command[2:])
        except SystemExit as end:
            assert not end.code, f'{" ".join(command)}: {end.code} {capsys.readouterr().err[-400:]}'


# ---- messages


def source_texts():
    """All texts of the code, each expression in them as '...'."""
    found = []
    for path in [*(ROOT / 'mmdpt').rglob('*.py'), *(ROOT / 'tools').glob('*.py')]:
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, ast.JoinedStr):
                found.append(
                    ''.join(
                        part.value if isinstance(part, ast.Constant) else '...'
                        for part in node.values
                    )
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


def test_messages_are_those_of_the_code():
    """First column of the tables in troubleshooting.md: pieces between '...', in this order."""
    page = (ROOT / 'docs' / 'troubleshooting.md').read_text(encoding='utf-8')
    shown = re.findall(r'^\| `([^`]+)`', page, re.MULTILINE)
    assert len(shown) > 40
    texts = [' '.join(text.split()) for text in source_texts()]
    unknown = []
    for message in shown:
        pieces = [piece.strip() for piece in message.split('...') if piece.strip()]
        wanted = re.compile('.*'.join(map(re.escape, pieces)))
        if not any(wanted.search(text) for text in texts):
            unknown.append(message)
    assert not unknown


def test_faults_name_tests_that_exist():
    page = (ROOT / 'docs' / 'faults.md').read_text(encoding='utf-8')
    names = set(re.findall(r'`(\w+\.py)`', page))
    places = [ROOT / 'tests', ROOT / 'tests' / 'helpers', ROOT / 'tools']
    missing = [name for name in names if not any((place / name).is_file() for place in places)]
    assert len(names) > 30 and not missing

"""Code blocks of the documentation, with the comment that stands before each.

A comment says who runs the block, or what it needs:

    <!-- run: test_x.py -->      tests/test_x.py runs these tools with these options
    <!-- run -->                 tests/test_PAGE.py reads the page and runs it, or else test_docs.py
    <!-- ci:NAME -->             .ci/run runs it
    <!-- needs: data, gpu -->    nobody here; the words of NEEDS
"""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md'))]  # docs/api: no commands
NEEDS = dict(
    data='photos, or a benchmark, on the disk',
    gpu='a GPU',
    slurm='a cluster with SLURM',
    minutes='more time than a test should take',
    network='a download',
    checkpoint='a checkpoint of your own',
)
SHELLS = ('bash', 'sh', 'shell', 'console')
PROGRAMS = (
    'python',
    'python3',
    'pip',
    'mim',
    'pytest',
    'mkdocs',
    'tensorboard',
    'TOOL',
    'cd',
    'git',
    'apt-get',
)
COMMENT = re.compile(r'<!--\s*((?:run|needs|ci)\b[^>]*?)\s*-->\s*$')


class Block(NamedTuple):
    """A code block: where, the marker before it or '', its language, its text."""

    page: Path
    line: int
    marker: str
    language: str
    text: str

    @property
    def place(self):
        return f'{self.page.name}:{self.line}'

    @property
    def is_shell(self):
        """Whether it is to be typed into a shell."""
        if self.language:
            return self.language in SHELLS
        return any(is_program(words(line)[:1]) for line in lines_of(self.text))


def is_program(first):
    return bool(first) and (first[0] in PROGRAMS or first[0].startswith('tools/'))


def lines_of(text):
    """Lines, continued ones joined."""
    return re.sub(r'\\\n\s*', ' ', text).splitlines()


def words(line):
    """Words of a command line, without settings of the environment; ``mmdpt NAME`` as its file."""
    try:
        found = shlex.split(line, comments=True)
    except ValueError:  # no command: an apostrophe in a listing
        return []
    while found and re.match(r'[A-Z_]+=', found[0]):
        found = found[1:]
    if found[:1] == ['mmdpt'] and (ROOT / 'tools' / f'{" ".join(found[1:2])}.py').is_file():
        return ['python', f'tools/{found[1]}.py', *found[2:]]
    return found


def commands(text):
    """list[list[str]]: The words of each command; '&&' separates commands, too."""
    found = []
    for line in lines_of(text):
        parts = [[]]
        for word in words(line):
            if word in ('&&', ';', '|'):
                parts.append([])
            else:
                parts[-1].append(word)
        found += [part for part in parts if part]
    return found


def blocks(page) -> list[Block]:
    """The fenced and the indented blocks of a page."""
    found, marker, fence, start = [], '', None, 0
    lines, text = page.read_text(encoding='utf-8').splitlines(), []
    for number, line in enumerate([*lines, ''], 1):
        if fence is not None:  # inside a fenced or an indented block
            if fence != 'indent' and line.strip() == '```':
                found.append(Block(page, start, marker, fence, '\n'.join(text)))
                fence, marker = None, ''
                continue
            if fence != 'indent' or line.startswith('    '):
                text.append(line)
                continue
            found.append(Block(page, start, marker, '', '\n'.join(i[4:] for i in text)))
            fence, marker = None, ''
        if line.strip().startswith('```'):
            fence, start, text = line.strip()[3:], number, []
        elif line.startswith('    ') and not lines[number - 2].strip():
            fence, start, text = 'indent', number, [line]
        elif COMMENT.match(line.strip()):
            marker = COMMENT.match(line.strip()).group(1)
        elif line.strip():
            marker = ''
    return found


def inline_commands(page):
    """Commands between backticks in running text and tables."""
    text = page.read_text(encoding='utf-8')
    for block in blocks(page):
        text = text.replace(block.text, '')
    text = re.sub(r'```.*?```', '', text, flags=re.DOTALL)
    spans = re.findall(r'`([^`\n]+(?:\n[^`\n]+)?)`', text)
    return [
        part for span in spans for part in commands(span.replace('\n', ' ')) if is_program(part[:1])
    ]

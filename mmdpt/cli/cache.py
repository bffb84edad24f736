"""List or clear the cache of frozen work.

The command line: arguments/cache.py.
"""

import argparse
import os
import os.path as osp
import re
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ..paths import spoken
from ..utils.cache import Entry, cache_folder, entries, megabytes
from ..utils.files import write_json
from ..utils.outputs import Output, check_outputs
from ..utils.text import printable
from .arguments.cache import parse_args

DAY = 24 * 3600
COLUMNS = ('kind', 'model', 'data', 'transforms', 'view', 'images', 'size', 'last used')


def selected(found: Sequence[Entry], args: argparse.Namespace) -> list[Entry]:
    """The files that the command line names."""
    before = None if args.older_than is None else time.time() - args.older_than * DAY
    return [
        one
        for one in found
        if (before is None or one.used <= before) and args.kind in (None, one.about.kind)
    ]


def cells(one: Entry) -> list[str]:
    """A line of the list."""
    about = one.about
    steps = re.findall(r'^\s*(\w+)\(', about.transforms, re.MULTILINE)
    return [
        about.kind,
        f'{about.model[:40]} {about.fingerprint[:8]}',
        about.data or '?',
        ', '.join(step for step in steps if step != 'Compose')[:60] or '?',
        '-' if about.view is None else str(about.view),
        str(about.images),
        megabytes(one.size),
        f'{datetime.fromtimestamp(one.used):%Y-%m-%d %H:%M}',
    ]


def show(found: Sequence[Entry]) -> None:
    """Print the files as a table."""
    rows = [COLUMNS, *(cells(one) for one in found)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(COLUMNS))]
    for row in rows if found else ():
        line = '  '.join(text.ljust(width) for text, width in zip(row, widths)).rstrip()
        print(printable(line))


def clear(found: Sequence[Entry]) -> list[Entry]:
    """Remove files; those that were removed, and not by somebody else meanwhile."""
    gone = []
    for one in found:
        try:
            os.unlink(one.path)
        except FileNotFoundError:
            continue
        except OSError as error:
            print(f'warning: {one.path} stays: {error.strerror}', file=sys.stderr)
            continue
        gone.append(one)
    return gone


def counted(found: Sequence[Entry]) -> str:
    """How many files, in words."""
    return f'{len(found)} file{"" if len(found) == 1 else "s"}'


def told(one: Entry) -> dict[str, Any]:
    """What --json says of a file."""
    return dict(one.about.model_dump(), path=one.path, bytes=one.size, used=one.used)


def run(args: argparse.Namespace) -> None:
    """List, and clear if that is asked for.

    Raises:
        OSError, ValueError: If the folder cannot be read, or --json would cost a file.
    """
    check_outputs([Output('--json', args.json, 'json')], [], args.overwrite)
    folder = args.dir or str(cache_folder(True))
    if args.dir and not osp.isdir(folder):
        raise NotADirectoryError(f'{folder} is no folder: give the one that cache_dir names')
    found, others = entries(folder) if osp.isdir(folder) else ([], [])
    some = selected(found, args)
    show(some)
    if args.action == 'list':
        what = f'{counted(some)}, {megabytes(sum(one.size for one in some))}'
    else:
        gone = some if args.dry_run else clear(some)
        freed = megabytes(sum(one.size for one in gone))
        what = f'{"would free" if args.dry_run else "freed"} {freed}, {counted(gone)}; '
        left = sum(one.size for one in found) - sum(one.size for one in gone)
        what += f'{megabytes(left)} stay'
    print(printable(f'{folder}: {what}'))
    if others:
        names = ', '.join(others[:3]) + (', ...' if len(others) > 3 else '')
        print(printable(f'not of this cache, or not complete, so left alone: {names}'))
    if args.json:
        write_json(dict(folder=folder, files=[told(one) for one in some]), args.json, indent=1)


def main(argv: list[str] | None = None) -> None:
    """Lists or clears."""
    args = parse_args(argv)
    try:
        run(args)
    except (ValueError, OSError) as error:
        sys.exit(spoken(f'error: {error}'))

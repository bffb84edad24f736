"""Check that a run is what it says.

The command line: arguments/verify.py.
"""

import os.path as osp
import sys
from argparse import Namespace

from ..engine.cli import friendly_errors
from ..engine.screen import hide_noise
from ..results.verify import Check, compare_data, compare_figures, compare_identities, open_run
from ..results.verify_again import retest, retrain
from ..utils.files import write_json
from ..utils.outputs import Output, check_outputs
from ..utils.text import visible
from .arguments.verify import parse_args


def verified(folder: str, args: Namespace) -> list[Check]:
    """Print and return all comparisons of a run."""
    print(folder)
    run, checks = open_run(folder)
    parts = [checks, compare_figures(run), compare_identities(run), compare_data(run)]
    parts += [retest(run)] if args.retest else []
    parts += [retrain(run)] if args.retrain else []
    done = []
    for part in parts:
        for one in part:
            done.append(one)
            print(f'  {one.state:12} {one.name:20} {visible(one.text)}', flush=True)
    used = run.results.get('used_for') or {}
    for step, data in used.items():
        print(f'  used for     {step:20} {visible(_told(data))}')
    return done


def _told(data: dict | None) -> str:
    if not isinstance(data, dict):
        return 'nothing'
    return ', '.join(f'{key} {value}' for key, value in data.items() if value is not None)


def main(argv: list[str] | None = None) -> None:
    """Verify; exit with status 1 if something differs."""
    args = parse_args(argv)
    hide_noise()
    with friendly_errors(args.debug):
        check_outputs([Output('--json', args.json, 'json')], [], args.overwrite)
        for folder in args.folders:
            if not osp.isfile(osp.join(folder, 'results.json')):
                raise FileNotFoundError(
                    f'{folder} holds no results.json: give the work directory of a training'
                )
        found = {folder: verified(folder, args) for folder in args.folders}
        states = [one.state for checks in found.values() for one in checks]
        counts = [f'{states.count(s)} {s}' for s in ('agrees', 'differs', 'not checked')]
        print(', '.join(counts))
        if args.json:
            told = {f: [one._asdict() for one in checks] for f, checks in found.items()}
            write_json(told, args.json, indent=1)
    if 'differs' in states:
        sys.exit(1)

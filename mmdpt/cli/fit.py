"""Make a classifier from your own photos.

The command line: arguments/fit.py.
"""

import shlex
import sys
import time

from ..engine.cli import friendly_errors
from ..engine.screen import hide_noise
from ..fitting.api import fit
from ..utils.files import write_text
from ..utils.outputs import Output, check_outputs
from .arguments.fit import parse_args


def main(argv: list[str] | None = None) -> None:
    """The command."""
    args = parse_args(argv)
    hide_noise()
    with friendly_errors(args.debug):
        files = [
            Output('--write-config', args.write_config, 'config'),
            Output('--json', args.json, 'json'),
        ]
        check_outputs(files, [args.photos], args.overwrite)
        found = fit(
            args.photos,
            args.out,
            methods=args.method,
            shots=args.shots,
            arch=args.arch,
            pretrained=args.pretrained,
            templates=args.templates,
            minutes=args.minutes,
            seed=args.seed,
            image_dir=args.image_dir,
            config_file=args.write_config,
            refit_all=args.refit_all,
            command=shlex.join([*sys.argv[0].split()[-2:], *(argv or sys.argv[1:])])[:1000],
            start=time.monotonic() - time.process_time(),  # with what was imported
        )
        if args.json:
            write_text(found.model_dump_json(indent=1), args.json)

"""Draw accuracy over shots.

The command line: arguments/plot_few_shot.py.
"""

import sys

from ..paths import spoken
from ..results import collect, find_runs, read_csv
from ..results.few_shot_panels import panels
from ..results.few_shot_plot import draw
from ..utils.files import replacing
from ..utils.outputs import Output, check_outputs
from .arguments.plot_few_shot import parse_args


def read(args):
    """tuple[list[Row], list[str]]: Rows and warnings.

    Raises:
        ValueError: If a CSV file is among other paths.
    """
    if len(args.results) == 1 and args.results[0].endswith('.csv'):
        return read_csv(args.results[0]), []
    if any(path.endswith('.csv') for path in args.results):
        raise ValueError('give either one CSV file or work directories')
    return collect(find_runs(args.results, args.unsealed), args.seeds, args.latest)


def main(argv: list[str] | None = None) -> None:
    """Draws."""
    args = parse_args(argv)
    try:
        if not args.out.endswith(('.png', '.pdf', '.svg')):
            raise ValueError(f'--out {args.out}: the name must end in .png, .pdf or .svg')
        output = Output('--out', args.out, args.out.rpartition('.')[2])
        check_outputs(
            [output], args.results if args.results[0].endswith('.csv') else [], args.overwrite
        )
        rows, warnings = read(args)
        found, notes = panels(rows, args.methods, args.datasets)
        if args.groups:
            from ..results.groups import add_groups_to_panels

            add_groups_to_panels(found, notes)
        with replacing(args.out) as place:
            draw(found, args.methods, args.intervals).savefig(place, dpi=200, format=output.kind)
    except (ValueError, OSError) as error:
        sys.exit(spoken(f'error: {error}'))
    for line in [*warnings, *notes]:
        print(f'warning: {line}', file=sys.stderr)
    print(f'{len(found)} panels: {args.out}')

"""Draw accuracy over shots: python tools/plot_few_shot.py CSV_OR_WORK_DIRS... --out F

    python tools/plot_few_shot.py results.csv --out few_shot.pdf
    python tools/plot_few_shot.py work_dirs --out few_shot.png --methods zero_shot dpt coop

One panel per dataset, and their average; bands are one standard deviation over
the seeds. The CSV is that of tools/collect_results.py.
"""

import argparse
import sys

from ..paths import spoken
from ..results import UNSEALED, collect, find_runs, read_csv
from ..results.few_shot_plot import draw, panels
from ..utils.files import replacing
from ..utils.outputs import OVERWRITE, Output, check_outputs


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=spoken(__doc__), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('results', nargs='+', help='a CSV file, or work directories')
    parser.add_argument(
        '--out', required=True, metavar='FILE', help='the figure: .png, .pdf or .svg'
    )
    parser.add_argument('--overwrite', **OVERWRITE)
    parser.add_argument('--unsealed', **UNSEALED)
    parser.add_argument('--methods', nargs='+', help='which, in this order; by default all')
    parser.add_argument('--datasets', nargs='+', help='the same for datasets')
    parser.add_argument(
        '--seeds',
        nargs='+',
        type=int,
        metavar='N',
        help='as in collect_results, for work directories',
    )
    parser.add_argument('--latest', action='store_true', help='the same')
    return parser.parse_args(argv)


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
        with replacing(args.out) as place:
            draw(found, args.methods).savefig(place, dpi=200, format=output.kind)
    except (ValueError, OSError) as error:
        sys.exit(spoken(f'error: {error}'))
    for line in [*warnings, *notes]:
        print(f'warning: {line}', file=sys.stderr)
    print(f'{len(found)} panels: {args.out}')

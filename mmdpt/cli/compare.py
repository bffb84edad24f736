"""Put runs side by side.

The command line: arguments/compare.py.
"""

from ..engine.cli import friendly_errors
from ..report import compare, comparison_html, comparison_markdown, inputs, read_run
from ..report.render import as_json
from ..utils.files import write_text
from ..utils.outputs import Output, check_outputs
from .arguments.compare import parse_args


def main(argv: list[str] | None = None) -> None:
    """Compares."""
    args = parse_args(argv)
    with friendly_errors(args.debug):
        outputs = [Output('--html', args.html, 'html'), Output('--json', args.json, 'json')]
        read = [path for folder in args.work_dirs for path in inputs(folder)]
        check_outputs(outputs, read, args.overwrite)
        comparison, pictures = compare([read_run(folder) for folder in args.work_dirs])
        print(comparison_markdown(comparison))
        if args.html:
            write_text(comparison_html(comparison, pictures), args.html)
        if args.json:
            write_text(as_json(comparison), args.json)

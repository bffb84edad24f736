"""Share a trained model without pickles.

The command line: arguments/publish.py.
"""

from ..apis.publish import publish
from ..engine.cli import friendly_errors
from .arguments.publish import parse_args


def main(argv: list[str] | None = None) -> None:
    """Publishes."""
    args = parse_args(argv)
    with friendly_errors(args.debug):
        for path in publish(args.checkpoint, args.folder, args.license, args.overwrite):
            print(path)

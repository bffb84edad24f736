"""Run a script of MMPretrain: python tools/mmpretrain_tool.py NAME [ARGUMENTS]

NAME is its file name without .py, for example vis_tsne or browse_dataset; the
arguments are its own (NAME -h shows them). Config files of this project work
as they are, and so do the scripts on the package versions that we pin;
docs/mmpretrain_tools.md lists what was tried.
"""

import sys

from mmdpt_command import wait_briefly

wait_briefly()

from mmpretrain_compat import run, scripts  # noqa: E402
from mmdpt.engine.cli import friendly_errors  # noqa: E402


def main():
    """The command."""
    if len(sys.argv) < 2 or sys.argv[1] in ('-h', '--help'):
        print(__doc__, 'Scripts: ' + ', '.join(scripts()), sep='\n')
        return
    with friendly_errors('--debug' in sys.argv[2:]):
        run(sys.argv[1].removesuffix('.py'), [a for a in sys.argv[2:] if a != '--debug'])


if __name__ == '__main__':
    main()

"""Run a script of MMPretrain: python tools/mmpretrain_tool.py NAME [ARGUMENTS]

NAME is its file name without .py, for example vis_tsne or browse_dataset; the
arguments are its own (NAME -h shows them). Config files of this project work
as they are, and so do the scripts on the package versions that we pin;
docs/mmpretrain_tools.md lists what was tried.
"""

import os
import sys

# Waiting threads must not spin: on a machine with other work that makes small
# models 15 times slower. To be set before torch is imported.
os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')

from mmpretrain_compat import run, scripts
from mmdpt.engine.cli import friendly_errors


def main():
    """The command."""
    if len(sys.argv) < 2 or sys.argv[1] in ('-h', '--help'):
        print(__doc__, 'Scripts: ' + ', '.join(scripts()), sep='\n')
        return
    with friendly_errors('--debug' in sys.argv[2:]):
        run(sys.argv[1].removesuffix('.py'), [a for a in sys.argv[2:] if a != '--debug'])


if __name__ == '__main__':
    main()

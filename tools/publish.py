"""As ``mmdpt publish``: see mmdpt/cli/publish.py."""

import os

# Waiting threads must not spin: on a machine with other work that makes small
# models 15 times slower. To be set before torch is imported.
os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')

from mmdpt.cli.publish import main

if __name__ == '__main__':
    main()

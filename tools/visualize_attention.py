"""As ``mmdpt visualize_attention``: see mmdpt/cli/visualize_attention.py."""

import sys

from mmdpt_command import door

main = door('visualize_attention')

if __name__ == '__main__':
    sys.exit(main())

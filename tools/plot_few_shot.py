"""As ``mmdpt plot_few_shot``: see mmdpt/cli/plot_few_shot.py."""

import sys

from mmdpt_command import door

main = door('plot_few_shot')

if __name__ == '__main__':
    sys.exit(main())

"""As ``mmdpt publish``: see mmdpt/cli/publish.py."""

import sys

from mmdpt_command import door

main = door('publish')

if __name__ == '__main__':
    sys.exit(main())

"""As ``mmdpt cache``: see mmdpt/cli/cache.py."""

import sys

from mmdpt_command import door

main = door('cache')

if __name__ == '__main__':
    sys.exit(main())

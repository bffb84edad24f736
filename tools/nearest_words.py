"""As ``mmdpt nearest_words``: see mmdpt/cli/nearest_words.py."""

import sys

from mmdpt_command import door

main = door('nearest_words')

if __name__ == '__main__':
    sys.exit(main())

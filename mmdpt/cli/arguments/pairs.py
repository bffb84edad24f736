"""``KEY=VALUE`` pairs of a command line, as MMEngine reads them."""

from collections.abc import Sequence

from mmengine.config import DictAction


class OptionAction(DictAction):
    """MMEngine's ``KEY=VALUE`` options, but text keeps its spaces.

    The stock action drops them and cuts at commas: ``a photo of a {}.`` would
    come out as ``aphotoofa{}.``.
    """

    @staticmethod
    def _parse_iterable(val):
        if ' ' in val.strip() and val.strip()[:1] not in '[(':
            return val
        return DictAction._parse_iterable(val)

    def __call__(self, parser, namespace, values, option_string=None):
        """Read all pairs; what cannot be read is an error of the command line."""
        for number, pair in enumerate(values or ()):
            try:
                super().__call__(parser, namespace, [pair], option_string)
            except (ValueError, IndexError, AssertionError, RecursionError) as error:
                if '=' not in pair:
                    parser.exit(1, f'error: {option_string}: {_torn(values, number)}\n')
                what = (
                    'its brackets do not match'
                    if isinstance(error, AssertionError)
                    else 'lists and tuples may be nested, dicts cannot be given'
                )
                parser.exit(
                    1,
                    f'error: {option_string}: cannot read {pair[:100]!r}: {what}. For parts of '
                    'a dict write one KEY.PART=VALUE for each, or change the config\n',
                )


def _torn(values: Sequence[str], number: int) -> str:
    """What to say of a word without "=": a shell cuts at spaces."""
    word, begin = values[number], number
    while begin and '=' not in values[begin][1:]:
        begin -= 1
    end = number
    while end + 1 < len(values) and '=' not in values[end + 1][1:]:
        end += 1
    whole = ' '.join(values[begin : end + 1])
    remedy = 'say KEY=VALUE'
    if '=' in whole.strip('='):
        key, _, value = (part.strip() for part in whole.partition('='))
        remedy = (
            'a shell cuts at spaces, so a value with spaces stands in quotation marks, and none '
            f'are around "=": "{key}={value}"'
        )
    return f'cannot read {word[:100]!r}: it has no "=": {remedy[:300]}'

"""``KEY=VALUE`` pairs of a command line, as MMEngine reads them."""

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
        for pair in values or ():
            try:
                super().__call__(parser, namespace, [pair], option_string)
            except (ValueError, IndexError, AssertionError, RecursionError) as error:
                what = (
                    'it has no "="'
                    if '=' not in pair
                    else 'its brackets do not match'
                    if isinstance(error, AssertionError)
                    else 'lists and tuples may be nested, dicts cannot be given'
                )
                parser.error(
                    f'{option_string}: cannot read {pair[:100]!r}: {what}. For parts of '
                    'a dict write one KEY.PART=VALUE for each, or change the config'
                )

"""Names from outside, where they are shown or written."""

import re
import sys

FORMULA = ('=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠')


def visible(text: str) -> str:
    """A text that does nothing to a terminal.

    Line breaks, escape sequences, marks that turn the direction of writing, and bytes of a file
    name that are no UTF-8 are spelt out as Python does: ``\\x1b``.
    """
    if text.isprintable():
        return text
    return ''.join(
        c if c.isprintable() else c.encode('unicode_escape', 'surrogatepass').decode() for c in text
    )


def printable(text: str) -> str:
    """:func:`visible`, in letters that the screen's encoding has."""
    encoding = getattr(sys.stdout, 'encoding', None) or 'utf-8'
    return visible(text).encode(encoding, 'backslashreplace').decode(encoding)


def cell(text: str) -> str:
    """A field of a CSV file, which no spreadsheet takes for a formula: one that would be gets
    an apostrophe in front, and so does one that begins with an apostrophe."""
    return f"'{text}" if text.lstrip(' \xa0\ufeff').startswith((*FORMULA, "'")) else text


def from_cell(text: str) -> str:
    """The way back of :func:`cell`."""
    return text[1:] if text.startswith("'") and cell(text[1:]) != text[1:] else text


def markdown(text: str) -> str:
    """A text that Markdown shows as it is. An underscore inside a word needs nothing."""
    text = re.sub(r'[\\`*|<>\[\]~&#$]', r'\\\g<0>', visible(text))
    return re.sub(r'(?<![^\W_])_|_(?![^\W_])', r'\\_', text)

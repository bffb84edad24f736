"""Hooks of the documentation's build (mkdocs.yml)."""

import re

ROLE = re.compile(r':(?:class|func|meth|mod|attr|data):(?=<code>|`)')


def on_page_content(html, **_):
    """Docstrings name code by Sphinx's roles (:class:`Match`); the site shows the name alone."""
    return ROLE.sub('', html)

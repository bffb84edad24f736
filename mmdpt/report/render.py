"""A report's content as HTML, Markdown and JSON.

Everything in the content may come from a file or a folder's name. HTML is escaped by jinja, on
for all that a template prints; Markdown by :func:`mmdpt.utils.text.markdown`, likewise; and what
would act on a screen, such as marks that turn the direction of writing, is spelt out.
"""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mmdpt.utils.text import markdown, visible

from .content import Comparison, Report
from .figures import accuracy_figure, calibration_figure, learning_figure

SHOWN_CONFUSIONS = 10


def _shown(value: Any) -> Any:
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _plain(value: Any) -> Any:
    if isinstance(value, Markup):
        return str(value)
    return markdown(value) if isinstance(value, str) else value


def _percent(value: float | None, digits: int = 1) -> Markup:
    return Markup('–') if value is None else Markup(f'{value:.{digits}f}')


def _html_code(text: str) -> Markup:
    return Markup('\n').join(map(visible, text.split('\n')))


def _plain_code(text: str) -> Markup:
    return Markup(visible(text))


def _environment(autoescape: bool) -> Environment:
    found = Environment(
        loader=PackageLoader('mmdpt.report'),
        autoescape=autoescape,
        finalize=_shown if autoescape else _plain,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters.update(
        percent=_percent,
        signed=lambda value: Markup(f'{value:+.1f}'),
        chance=lambda p: Markup(f'{p:.3f}' if p >= 0.001 else '&lt;0.001'),
        code=_html_code if autoescape else _plain_code,
    )
    return found


def report_html(report: Report, pictures: dict[str, str]) -> str:
    """One page that needs nothing else.

    Args:
        report (Report): The content.
        pictures (dict[str, str]): Data URIs; see :func:`mmdpt.report.build.build`.
    """
    return (
        _environment(True)
        .get_template('report.html')
        .render(
            r=report,
            pictures=pictures,
            accuracy_figure=accuracy_figure(report.accuracies),
            calibration_figure=calibration_figure(report.calibration),
            learning_figure=learning_figure(report.learning),
            shown_confusions=report.confusions[:SHOWN_CONFUSIONS],
            most_right=max((c.right for c in report.classes), default=0),
            most_wrong=report.confusions[0].images if report.confusions else 0,
        )
    )


def report_markdown(report: Report) -> str:
    """The same without pictures."""
    return (
        _environment(False)
        .get_template('report.md')
        .render(r=report, shown_confusions=report.confusions[:SHOWN_CONFUSIONS])
    )


def as_json(content: Report | Comparison) -> str:
    """All figures, as :mod:`mmdpt.report.content` names them."""
    return content.model_dump_json(indent=1)


def comparison_html(comparison: Comparison, pictures: dict[str, str]) -> str:
    """Runs side by side; see :func:`report_html`."""
    return (
        _environment(True)
        .get_template('compare.html')
        .render(
            r=comparison,
            pictures=pictures,
            accuracy_figure=accuracy_figure([run.accuracy for run in comparison.runs]),
        )
    )


def comparison_markdown(comparison: Comparison) -> str:
    """The same without pictures, for a terminal as well."""
    return _environment(False).get_template('compare.md').render(r=comparison)

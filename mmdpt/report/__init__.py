"""One page about a finished run, and runs side by side; see docs/report.md."""

import os
import os.path as osp
from typing import NamedTuple

from mmdpt.utils.files import write_text
from mmdpt.utils.outputs import Output, check_outputs

from .build import build
from .compare import compare
from .content import Comparison, Report
from .render import as_json, comparison_html, comparison_markdown, report_html, report_markdown
from .run import RunFolder, inputs, read_run

__all__ = [
    'Comparison',
    'Paths',
    'Report',
    'RunFolder',
    'build',
    'compare',
    'comparison_html',
    'comparison_markdown',
    'inputs',
    'read_run',
    'write_report',
]


class Paths(NamedTuple):
    """The files of a report."""

    html: str
    markdown: str
    json: str


def write_report(
    folder: str, out: str | None = None, overwrite: bool = False, pretrained: str | None = None
) -> Paths:
    """Write ``report.html``, ``report.md`` and ``report.json`` about a run.

    Args:
        folder (str): Of a finished training, or of ``mmdpt fit``.
        out (str, optional): The folder to write to, which is made if it is not there. Defaults
            to ``folder``.
        overwrite (bool): Whether a report that is there already may be replaced.
        pretrained (str, optional): Where CLIP's weights are on this machine, for the attention of
            a model that was trained on a file of them.

    Raises:
        OSError: If files are missing, or a report is there already.
        ValueError: If a file of the run is damaged.
    """
    out = folder if out is None else out
    paths = Paths(*(osp.join(out, f'report.{end}') for end in ('html', 'md', 'json')))
    if osp.exists(out):
        kinds = ('html', 'markdown', 'json')
        outputs = [Output('--out', path, kind) for path, kind in zip(paths, kinds)]
        check_outputs(outputs, inputs(folder), overwrite)
    report, pictures = build(read_run(folder), pretrained)
    os.makedirs(out, exist_ok=True)
    write_text(report_html(report, pictures), paths.html)
    write_text(report_markdown(report), paths.markdown)
    write_text(as_json(report), paths.json)
    return paths

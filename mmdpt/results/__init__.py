"""From many runs to tables and figures; see docs/results.md.

Nothing in here imports torch or the rest of the package at the top: reading a
thousand small files takes less than a second, importing those takes seconds.
"""

from .cells import Cell, average, cell
from .csv_file import read_csv, write_csv
from .find import find_runs
from .row import REFERENCES, Row
from .select import collect
from .tables import Table, all_tables

__all__ = [
    'REFERENCES',
    'Cell',
    'Row',
    'Table',
    'all_tables',
    'average',
    'cell',
    'collect',
    'find_runs',
    'read_csv',
    'write_csv',
]

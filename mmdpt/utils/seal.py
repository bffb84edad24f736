"""Results that say whether they are still what was written.

Plain Python, which a sweep pickles with its job.
"""

import hashlib
import json
import math
import os
import stat

SEAL = 'checksum'
LARGEST = 2**24  # bytes of a file of results


def sealed(results: dict) -> dict:
    """Results with a checksum over all that they say.

    Args:
        results (dict): Plain Python, as JSON has it.
    """
    plain = json.loads(json.dumps(results))
    return {**plain, SEAL: checksum(plain)}


def checksum(results: dict) -> str:
    """The hash of results, but for the one inside."""
    said = {key: value for key, value in results.items() if key != SEAL}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def read_sealed(path: str) -> dict:
    """Read what :func:`sealed` made, and a program wrote.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is no JSON, or was changed; says so in words that follow its name.
    """
    results = read_plain(path)
    check_seal(results)
    return results


def read_plain(path: str) -> dict:
    """Read results of which nothing is known yet.

    Raises:
        OSError, ValueError: If it is no JSON of some results, or too large.
    """
    found = os.stat(path)
    if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST:
        raise ValueError(f'it is no file, or larger than {LARGEST // 2**20} MB')
    with open(path, encoding='utf-8') as file:
        text = file.read()
    try:
        results = json.loads(text)
    except RecursionError:
        raise ValueError('it is nested too deeply') from None
    if not isinstance(results, dict):
        raise ValueError(f'it holds a {type(results).__name__}, no results by name')
    return results


def check_seal(results: dict) -> None:
    """Refuse results that are not as they were written.

    Raises:
        ValueError: Says so in words that follow the file's name.
    """
    if SEAL not in results:
        raise ValueError('it has no checksum: mmdpt 0.1 wrote it, or it was edited')
    if results[SEAL] != checksum(results):
        raise ValueError('it was edited: its checksum is wrong')


def in_bounds(figures: object) -> bool:
    """Whether figures are finite numbers by name, and accuracies in per cent."""
    return (
        isinstance(figures, dict)
        and bool(figures)
        and all(
            type(value) in (int, float)
            and math.isfinite(value)
            and (not name.startswith('accuracy') or 0 <= value <= 100)
            for name, value in figures.items()
        )
    )

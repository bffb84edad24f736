"""The config of a name that no file has: composed of what the name says."""

import atexit
import os.path as osp
import re
import shutil
import tempfile

from ..paths import find_config
from .compose import ARCHS, TITLED, TITLES, stem
from .plan import compose
from .published import OWN

NAME = re.compile(
    f'(?P<method>{"|".join(TITLES)})_(?P<arch>{"|".join([*ARCHS, "tiny"])})'
    f'_(?P<dataset>{"|".join(TITLED)})(_(?P<shots>[1-9][0-9]{{0,3}})shot)?'
)


def named_config(given: str) -> str:
    """A config file: the one given, the shipped one of that name, or a composed one.

    ``coop_vitb16_custom`` and ``tcp_vitb32_dtd_4shot`` have no file. One is composed, as
    tools/sweep.py does it, and removed when the process ends: what it resolves to is written
    into the work directory.

    Raises:
        FileNotFoundError: If the name says nothing; names the nearest ones.
        ValueError: If it names what cannot be trained.
    """
    found = NAME.fullmatch(given.removesuffix('.py'))
    if osp.exists(given) or not found:
        return find_config(given, _meant(given))
    try:
        return find_config(given)
    except FileNotFoundError:
        parts = found.groupdict()
    shots = parts.pop('shots')
    folder = tempfile.mkdtemp(prefix='mmdpt_config_')
    atexit.register(shutil.rmtree, folder, True)
    return compose(**parts, shots=shots and int(shots), folder=folder)


def _meant(given: str) -> list[str]:
    """Names that may have been meant.

    Raises:
        FileNotFoundError: If it is the name of a method.
    """
    method = re.sub('[^a-z0-9]+', '_', given.lower())
    if method in TITLES and not osp.exists(given):
        raise FileNotFoundError(
            f'{given} is a method, and here stands the name of a config: {method}_vitb16_{OWN} for '
            f'your own photos, {method}_vitb16_eurosat_16shot for a benchmark, or '
            f'{method}_tiny_digits_16shot for the built-in example'
        )
    return [stem(name, arch, OWN) for name in TITLES for arch in (*ARCHS, 'tiny')]

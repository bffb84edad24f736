"""Files of tensors that others wrote: read without running anything in them."""

import zipfile
from collections.abc import Sequence
from typing import Any

import torch

from .bounds import check_parts, check_pickle, check_steps
from .files import open_regular

LARGEST_FILE = 2**40  # bytes
LEGACY_PICKLES = 5  # of torch before 1.6: what it is, the objects, the names of the tensors


def load_tensors(path: str, stand_ins: Sequence = ()) -> Any:
    """Load what ``torch.save`` wrote, onto the CPU: tensors and plain Python.

    Checksums are left to others: weights of CLIP have gigabytes, and a fingerprint.

    Args:
        path (str): The file.
        stand_ins (Sequence): What to make of classes that the file names, as
            ``torch.serialization.safe_globals`` takes it.

    Returns:
        Any: Of no more objects than :mod:`mmdpt.utils.bounds` allows; what they are,
        ``check_values`` there finds out.

    Raises:
        OSError: If there is no such file, or it cannot be read.
        Exception: Many kinds; if it is damaged, holds more than that, or stands for more than
            it holds.
    """
    with open_regular(path, LARGEST_FILE) as file:
        zipped = file.read(4) == b'PK\x03\x04'  # torch's own test
        file.seek(0)
        if zipped:
            with zipfile.ZipFile(file) as archive:
                check_parts(archive, path)
            check_pickle(path)
        else:
            for _ in range(LEGACY_PICKLES):
                check_steps(file)
    with torch.serialization.safe_globals(list(stand_ins)):
        return torch.load(path, map_location='cpu', weights_only=True)

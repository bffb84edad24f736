"""What is fixed about a benchmark, and how to find it by its name."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from .catalogue import ALIASES, ROWS


@dataclass(frozen=True)
class Benchmark:
    """What is fixed about one benchmark.

    Args:
        name (str): The name used in configs.
        classes (tuple[str]): Class names in label order, as written in the
            split file (underscores become spaces only in the prompts). None
            where they are read from the data, see :func:`resolve_classes`.
        templates (tuple[str]): Hand-written prompts with one ``{}`` each.
        folder (str): The folder under ``data_root``.
        image_dir (str): The folder of the images, under ``folder``.
        split_file (str): The split file's name, under ``folder``.
        sizes (tuple[int], optional): Images in the train, val and test lists.
        source (str): What to download and where to put it, for messages.
        layout (str): How it is laid out on disk, a key of
            :data:`mmdpt.datasets.layouts.LAYOUTS`.
        num_classes (int, optional): The published number of classes.
        fractions (tuple[float], optional): Shares of train, val and test of
            data that have no lists of their own.
        allow_leaks (bool): Whether the same picture may be in more than one
            list of your own data.
        draw_val (bool): Whether own data without lists give a val list.
        renames (tuple[tuple[str, str]]): Classes of own data, and what they are called instead.
    """

    name: str
    classes: tuple[str, ...]
    templates: tuple[str, ...]
    folder: str = ''
    image_dir: str = ''
    split_file: str = ''
    sizes: tuple[int, int, int] | None = None
    source: str = ''
    layout: str = 'split'
    num_classes: int | None = None
    fractions: tuple[float, float, float] | None = None
    allow_leaks: bool = False
    draw_val: bool = True
    renames: tuple[tuple[str, str], ...] = ()

    @property
    def evaluation_only(self) -> bool:
        """Whether it has nothing to train on."""
        return self.sizes is not None and self.sizes[0] == 0

    @property
    def why_no_val(self) -> str:
        """What to do about own data without a val list."""
        if self.layout != 'own':
            return ''
        if not self.draw_val:
            return ' To put photos aside to choose settings on, set dataset.draw_val=True.'
        return (
            ' Settings are chosen on it: take more photos per class, or a method that chooses '
            'none, such as CLAP (clap_vitb16_custom).'
        )

    @property
    def config_name(self) -> str:
        """How file names of configs spell it."""
        return _plain(self.name)


def _plain(name: str) -> str:
    return re.sub('[^a-z0-9]', '', str(name).lower())


BENCHMARKS = {
    name: Benchmark(name=name, **{'classes': (), **row})  # type: ignore[arg-type]
    for name, row in ROWS.items()
}


def get_benchmark(name: str | Benchmark) -> Benchmark:
    """Look a benchmark up by its name.

    Upper and lower case, underscores and hyphens make no difference.

    Raises:
        ValueError: If there is no such benchmark; the nearest names follow.
    """
    if isinstance(name, Benchmark):
        return name
    known = {**{_plain(n): n for n in BENCHMARKS}, **ALIASES}
    if _plain(name) in known:
        return BENCHMARKS[known[_plain(name)]]
    near = get_close_matches(_plain(name), known, cutoff=0.5)
    hint = list(dict.fromkeys(known[n] for n in near)) or list(BENCHMARKS)
    raise ValueError(
        f'Unknown benchmark {name!r}. {"Nearest" if near else "Known"}: {", ".join(hint)}.'
    )


def repeated(names: Sequence[str]) -> list[str]:
    """Names that occur more than once."""
    return [name for name, count in Counter(names).items() if count > 1]

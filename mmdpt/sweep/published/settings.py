"""What a composed config sets, and what several methods share."""

from dataclasses import dataclass, field

from ...datasets.benchmarks import get_benchmark

CITED_SHOTS = (1, 2, 4, 8, 16)  # of the public benchmark
OTHER_SHOTS = (
    'none is published for these shots, so that of the next of 1, 2, 4, 8 and 16: our choice'
)


@dataclass(frozen=True)
class Settings:
    """What a composed config sets besides method, tower, dataset and shots.

    Args:
        epochs (int, optional): None: those of ``loop``, or none where the method
            takes no step.
        source (str): Where the number comes from.
        notes (str): Further sentences for the docstring.
        batch_size (int, optional): None: that of ``_base_/few_shot.py``, 32.
        keep_last (bool): Keep an incomplete last batch.
        model (dict): Further settings of the model.
        lines (str): Further lines of the config.
        loop (str): What ``train_cfg`` says besides epochs.
        loader (str): Further settings of the training's loader.
        data (str): Further settings of its dataset.
    """

    epochs: int | None
    source: str
    notes: str = ''
    batch_size: int | None = None
    keep_last: bool = False
    model: dict = field(default_factory=dict)
    lines: str = ''
    loop: str = ''
    loader: str = ''
    data: str = ''


def num_classes(dataset: str) -> int:
    """The published number of classes of a file of ``_base_/datasets``."""
    benchmark = get_benchmark(dataset)
    return len(benchmark.classes) or benchmark.num_classes or 0

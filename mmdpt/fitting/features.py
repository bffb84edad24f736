"""The features of all photos, computed once, and what zero-shot CLIP says of the training part."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from mmdpt.engine.cli import build_runner
from mmdpt.engine.measure import few_shot_set
from mmdpt.engine.whole_loops import sample_of
from mmdpt.evaluation.frozen_features import Passes, frozen_features
from mmdpt.utils.unwrap import unwrapped

from .budget import Budget, affordable
from .runs import configured

CHUNK = 16  # photos between two looks at the clock


@dataclass(frozen=True)
class ZeroShot:
    """Zero-shot CLIP on the training part.

    Attributes:
        right: (N,) bool, in the order of the split file's training list.
        per_image: Seconds that the towers take for an image.
        clip: What identifies CLIP: arch, pretrained, fingerprint.
        affordable: So many training photos the time allows; N if all.
    """

    right: np.ndarray
    per_image: float
    clip: dict
    affordable: int


@torch.no_grad()
def prepare(
    config: str,
    work_dir: str,
    budget: Budget,
    tested: int,
    tell: Callable[[int, int], None],
    whole: bool = False,
) -> ZeroShot:
    """Compute features and test zero-shot CLIP; stop where that would take half of the time.

    Args:
        config (str): Of zero-shot CLIP, on a split file of all photos.
        work_dir (str): For its log.
        budget (Budget): The time.
        tested (int): Held-out photos, whose features come later.
        tell (Callable): Gets how many of how many photos are done.
        whole (bool): Do not stop.
    """
    cfg = configured(config, work_dir)
    model = unwrapped(build_runner(cfg).model).eval()
    dataset = few_shot_set(cfg, 'train', cfg.test_dataloader.dataset.pipeline)
    total, right, spent = len(dataset), [], 0.0
    model.text_features()
    begin, left = budget.spent(), budget.left()
    for start in range(0, total, CHUNK):
        part = range(start, min(start + CHUNK, total))
        features = frozen_features(model, dataset, part, passes=Passes(CHUNK))
        samples = [sample_of(dataset.get_data_info(i)) for i in part]
        for sample in model.predict_features(features, samples):
            right.append(bool(sample.pred_label == sample.gt_label))
        spent = budget.spent() - begin
        tell(part.stop, total)
        few = affordable(spent / part.stop, total + tested, left) < total + tested
        if few and start and not whole:
            break
    per_image = spent / len(right)
    share = affordable(per_image, total + tested, left) / (total + tested)
    enough = total if len(right) == total else max(1, int(share * total))
    return ZeroShot(np.array(right), per_image, dict(model.clip_identity), enough)

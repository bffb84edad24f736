"""Short trainings of PromptKD on the digits."""

import random
from pathlib import Path

from mmengine.config import Config

from mmdpt.engine import FewShotRunner

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / 'configs/promptkd/promptkd_tiny_digits.py'
IMAGES = 40


def runner(work_dir, **options):
    cfg = Config.fromfile(CONFIG)
    cfg.merge_from_dict(
        {
            'work_dir': str(work_dir),
            'log_level': 'ERROR',
            'experiment_name': f'{Path(work_dir).name}{random.random()}',
            'train_cfg.max_epochs': 2,
            'train_dataloader.batch_size': 8,
            'train_dataloader.dataset.indices': IMAGES,
            'test_dataloader.dataset.indices': 20,
            'val_dataloader.dataset.indices': 20,
            **options,
        }
    )
    return FewShotRunner.from_cfg(cfg)


def trained(work_dir, **options):
    """What a short training learnt."""
    found = runner(work_dir, **options)
    found.train()
    return {n: t.clone() for n, t in found.model.state_dict().items()}

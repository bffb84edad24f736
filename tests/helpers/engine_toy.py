"""A toy classifier with the interface of the real one, for the engine's tests."""

import os.path as osp
from contextlib import contextmanager

import numpy as np
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmpretrain.models import ImageClassifier
from mmpretrain.registry import DATASETS, MODELS
from mmpretrain.structures import DataSample
from torch import nn
from torch.utils.data import Dataset

import mmdpt  # noqa: F401  (registers)

ROOT = osp.dirname(osp.dirname(osp.dirname(osp.abspath(__file__))))
RUNTIME = osp.join(ROOT, 'configs', '_base_', 'runtime.py')


@MODELS.register_module(force=True)
class ToyPrompted(ImageClassifier):
    """A frozen linear 'tower', a learnt prompt that shifts its input."""

    def __init__(self, noise=0.0, poison=None, data_preprocessor=None):
        super().__init__(
            backbone=nn.Identity(),
            data_preprocessor=dict(
                type='ClsDataPreprocessor', mean=[127.5], std=[127.5], **(data_preprocessor or {})
            ),
        )
        torch.manual_seed(0)
        self.tower = nn.Sequential(nn.Flatten(), nn.Linear(16, 3)).requires_grad_(False)
        self.text_prompt = nn.Linear(16, 3)
        self.visual_prompt = nn.Parameter(torch.zeros(16))
        self.noise, self.poison, self.calls, self.frozen = noise, poison, 0, False
        self.register_state_dict_post_hook(_keep_learnt)

    def identity(self):
        return dict(classes=['a', 'b', 'c'], clip=dict(fingerprint='toy'))

    @contextmanager
    def zero_shot(self):
        self.frozen = True
        yield
        self.frozen = False

    def clip_features(self, inputs):
        return inputs.flatten(1)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        x = inputs.flatten(1) + self.visual_prompt
        if self.training and self.noise:
            x = x + self.noise * torch.randn_like(x)  # global generator, on purpose
        logits = self.tower(inputs) if self.frozen else self.tower(x) + self.text_prompt(x)
        if mode == 'loss':
            self.calls += 1
            target = torch.cat([s.gt_label for s in data_samples])
            loss = nn.functional.cross_entropy(logits, target)
            return dict(loss=loss * (float('nan') if self.calls == self.poison else 1.0))
        if mode == 'predict':
            return [
                s.set_pred_score(p).set_pred_label(p.argmax())
                for s, p in zip(data_samples, logits.softmax(1))
            ]
        return logits


def _keep_learnt(module, state, prefix, local_metadata):
    for name in list(state):
        if name.startswith(prefix + 'tower.'):
            del state[name]
    state._metadata.setdefault('', {})['mmdpt'] = module.identity()


@DATASETS.register_module(force=True)
class ToyDataset(Dataset):
    """24 noisy 4x4 images of three classes; knows its epoch."""

    METAINFO = dict(classes=('a', 'b', 'c'))

    def __init__(self, draw_hash='draw-1', size=24):
        rng = np.random.default_rng(0)
        self.labels = np.arange(size) % 3
        self.images = rng.integers(0, 255, (size, 1, 4, 4)).astype(np.uint8)
        self.images[:, 0, 0, 0] = self.labels * 100
        self.draw_hash, self.metainfo, self.epochs = draw_hash, dict(self.METAINFO), []

    def set_epoch(self, epoch):
        self.epochs.append(epoch)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        sample = DataSample().set_gt_label(int(self.labels[index]))
        return dict(inputs=torch.from_numpy(self.images[index]), data_samples=sample)


def loader(shuffle, **dataset):
    """dict: A loader's config."""
    return dict(
        batch_size=8,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=shuffle),
        collate_fn=dict(type='default_collate'),
        dataset=dict(type='ToyDataset', **dataset),
    )


def toy_config(work_dir, epochs=4, report=False, **model):
    """Config: A short training of the toy on the project's runtime."""
    cfg = Config.fromfile(RUNTIME)
    cfg.model = dict(type='ToyPrompted', **model)
    cfg.train_dataloader = loader(True)
    cfg.test_dataloader = loader(False, size=30)
    cfg.test_cfg, cfg.test_evaluator = dict(), dict(type='Accuracy')
    cfg.train_cfg = dict(by_epoch=True, max_epochs=epochs)
    cfg.optim_wrapper = dict(
        constructor='PromptOptimWrapperConstructor',
        optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=5e-4),
        paramwise_cfg=dict(custom_keys={'text_prompt': dict(lr_mult=0.2, warmup_epochs=1)}),
    )
    cfg.param_scheduler = dict(type='ConstantWarmupCosineLR', warmup_epochs=2)
    cfg.work_dir = str(work_dir)
    cfg.default_hooks.report.enable = report
    return cfg


def hook(priority='NORMAL', **methods):
    """Hook: An object with the given methods (each takes ``self``)."""
    return type('TestHook', (Hook,), dict(methods, priority=priority))()

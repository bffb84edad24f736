"""Training runs of 2SFS: one stage, and both through our own Runner."""

import tempfile

import numpy as np
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.optim import build_optim_wrapper
from mmpretrain.registry import PARAM_SCHEDULERS
from torch.utils.data import DataLoader, Dataset

from mmdpt.engine import FewShotRunner

from . import methods
from .golden import Golden
from .runs import learnt, renamed, samples
from .settings import NotImplementedCase

PARTS = ('tuning', 'head')  # what learns in the stages


def learn(model, stage: int) -> None:
    """Let only what belongs to a stage learn."""
    for name, part in zip(PARTS, (model.tuning, model.head)):
        part.requires_grad_(name == PARTS[stage - 1])


def check_learnable(golden: Golden, model, key: str) -> None:
    """Raise unless the reference learns what we do."""
    ours = {n: list(t.shape) for n, t in renamed(golden, learnt(model)).items()}
    if ours != golden.meta[key]:
        odd = sorted({*ours} ^ {*golden.meta[key]})
        raise ValueError(f'{key}: not the same tensors or shapes are learnt: {odd}')
    golden.meta.get('in_optimiser_but_frozen')  # never moved there, frozen here


def optimisation(plan) -> tuple[dict, dict]:
    """Configs of optimizer and schedule."""
    if not plan['schedule'].startswith('cosine per step'):
        raise NotImplementedCase(f'schedule {plan["schedule"]!r}')
    optimizer = dict(type='AdamW', lr=plan['base_lr'], **plan['adamw'])
    schedule = dict(type='CosineAnnealingLR', eta_min=plan['minimum_lr'], by_epoch=False)
    return dict(constructor='PromptOptimWrapperConstructor', optimizer=optimizer), schedule


def one_stage(golden: Golden, model) -> dict:
    """A stage alone, from the file's start values."""
    plan = golden.meta['trajectory']
    images, labels = golden.images('traj/images'), golden.arrays['traj/labels']
    plan.one_of('batches_per_pass', [len(images)])
    optim_wrapper, schedule = optimisation(plan)
    optim = build_optim_wrapper(model, optim_wrapper)
    schedule = PARAM_SCHEDULERS.build(
        dict(schedule, end=plan['steps']), default_args=dict(optimizer=optim)
    )
    model.zero_grad()
    model.train()
    found = {'traj/lr': [], 'traj/loss': []}
    for _, batch in zip(range(plan['steps']), golden.arrays['traj/batch_index'], strict=True):
        found['traj/lr'].append(optim.get_lr()['lr'][0])
        data = dict(inputs=images[batch], data_samples=samples(labels[batch]))
        found['traj/loss'].append(model.train_step(data, optim)['loss'].item())
        schedule.step()
    for name, tensor in renamed(golden, learnt(model)).items():
        found[f'traj/final/{name}'] = tensor
    model.eval()
    with torch.no_grad():
        found['traj/final_logits'] = torch.stack([model(i) for i in images])
    return {k: np.array(v) if isinstance(v, list) else v for k, v in found.items()}


class Batches(Dataset):
    """The file's images, batch by batch."""

    def __init__(self, golden: Golden):
        images, labels = golden.images('traj/images'), golden.arrays['traj/labels']
        self.count, self.size = labels.shape
        self.images, self.labels = images.flatten(0, 1), labels.ravel()

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        [sample] = samples([self.labels[index]])
        return dict(inputs=self.images[index], data_samples=sample)


class Order:
    """The batches of each pass, in the file's order. Either stage starts with a fresh pass."""

    def __init__(self, golden: Golden, batches: Batches, first: int):
        self.count, self.size = batches.count, batches.size
        order = golden.arrays['traj/batch_index'].tolist()
        self.passes = iter(
            stage[start : start + self.count]
            for stage in (order[:first], order[first:])
            for start in range(0, len(stage), self.count)
        )

    def __len__(self):
        return self.count

    def __iter__(self):
        for batch in next(self.passes):
            yield range(batch * self.size, (batch + 1) * self.size)


def collate(data: list[dict]) -> dict:
    """A batch of the file."""
    inputs = torch.stack([d['inputs'] for d in data])
    return dict(inputs=inputs, data_samples=[d['data_samples'] for d in data])


class Record(Hook):
    """Notes what a run goes through, by the file's keys."""

    priority = 'LOWEST'

    def __init__(self, golden: Golden):
        self.golden, self.stage2 = golden, {}
        names = ('stage', 'lr', 'loss', 'accuracy')
        self.steps: dict[str, list] = {f'traj/{name}': [] for name in names}

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        """What is known before the update."""
        model = runner.model
        stage = runner.train_loop.stage + 1
        if stage == 2 and not self.stage2:
            self.stage2 = at_switch(self.golden, model)
        model.train()
        labels = torch.cat([s.gt_label for s in data_batch['data_samples']])
        with torch.no_grad():
            right = model(data_batch['inputs']).argmax(1) == labels
        values = dict(
            stage=stage,
            lr=runner.optim_wrapper.get_lr()['lr'][0],
            accuracy=100 * right.double().mean().item(),
        )
        for name, value in values.items():
            self.steps[f'traj/{name}'].append(value)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        """The loss."""
        self.steps['traj/loss'].append(outputs['loss'].item())


def at_switch(golden: Golden, model) -> dict:
    """The start of stage 2, and its first batch without an update."""
    check_learnable(golden, model, 'learnable_stage2')
    batch = golden.arrays['traj/batch_index'][golden.meta['trajectory']['stage1_steps']]
    arrays = {k: golden.arrays[f'traj/{k}'][batch] for k in ('images', 'labels')}
    first = golden._replace(arrays={**golden.arrays, **arrays})
    found = methods.forward(first, model)
    found = {k: found[k] for k in ('out/image_features', 'out/text_features', 'out/logits')}
    found.update(methods.losses(first, model, 'loss', 'grad', 0))
    model.zero_grad()
    found['init/classifier'] = model.head.weight
    after = dict(model.tuning.named_parameters(prefix='tuning'))
    return {
        **{f'stage2/{k}': v.detach().clone() for k, v in found.items()},
        **{f'traj/after_stage1/{n}': t for n, t in renamed(golden, after).items()},
    }


def whole_run(golden: Golden, model) -> dict:
    """Both stages through the Runner, as a config with ``stages`` trains."""
    plan = golden.meta['trajectory']
    batches, total = Batches(golden), plan['n_iters'] * plan['shots']
    plan.one_of('batches_per_pass', [batches.count])
    plan.one_of('total_steps', [total])
    first = int(plan['n_iters_frac'] * total)
    if not 0 < first < total:
        raise NotImplementedCase(f'n_iters_frac={plan["n_iters_frac"]}: a stage without a step')
    optim_wrapper, schedule = optimisation(plan)
    record = Record(golden)
    stages = [dict(learns=[PARTS[0]], share=plan['n_iters_frac']), dict(learns=[PARTS[1]])]
    learn(model, 1)
    with tempfile.TemporaryDirectory() as folder:
        runner = FewShotRunner(
            model=model,
            work_dir=folder,
            train_dataloader=DataLoader(
                batches, batch_sampler=Order(golden, batches, first), collate_fn=collate
            ),
            train_cfg=dict(by_epoch=True, max_epochs=None, max_steps=total),
            optim_wrapper=dict(optim_wrapper, type='OptimWrapper'),
            param_scheduler=schedule,
            default_hooks=dict(checkpoint=None, logger=None, sampler_seed=None, timer=None),
            custom_hooks=[record],
            default_scope='mmpretrain',
            log_level='ERROR',
            experiment_name=f'parity_{folder.rpartition("/")[2]}',
            cfg=Config(dict(stages=stages)),
        )
        runner.train()
    loop = runner.train_loop
    if loop.steps != [plan['stage1_steps'], plan['stage2_steps']]:
        raise ValueError(f'stages of {loop.steps} steps, not as the file says')
    found = {**record.stage2, **{k: np.array(v) for k, v in record.steps.items()}}
    found['traj/final/classifier'] = model.head.weight.detach()
    for name, tensor in renamed(
        golden, dict(model.tuning.named_parameters(prefix='tuning'))
    ).items():
        if not torch.equal(tensor, found[f'traj/after_stage1/{name}']):
            raise ValueError(f'{name} has moved in stage 2')
    return found

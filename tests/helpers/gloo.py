"""What every process of tests/test_distributed.py does; one process does it, too."""

import os

import torch
from mmengine.config import Config
from mmengine.dist import get_rank, get_world_size
from mmengine.logging import MessageHub
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

from helpers.classifier import SENTENCES
from helpers.matrix import METHODS
from helpers.plain import small_clip
from mmdpt.engine import MeanLossHook
from mmdpt.engine.cli import build_runner

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CLASSES = ['cat', 'Egyptian Mau', 'american_bulldog', 'ox', 'a b c d e']
CASES = {
    **METHODS,
    **{
        f'{name}_shards': dict(METHODS[name], shard_classes=True)
        for name in ('coop', 'dpt', 'promptsrc', 'lora_dropout')
    },
    'dpt_csc': dict(
        METHODS['dpt'],
        shard_classes=True,
        text_prompt=dict(type='CoOp', num_tokens=4, class_specific=True),
    ),
}
CASES['coprompt'] = dict(
    METHODS['coprompt'],
    head=dict(METHODS['coprompt']['head'], sentences=SENTENCES.replace('.json', '_five.json')),
)
STEPS = [(6, 0), (5, 0), (5, 5)]  # images in all, epoch


def build(case):
    """A classifier of the case, wrapped where there are several processes."""
    init_default_scope('mmpretrain')
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type='PromptedCLIP',
            arch=small_clip(),
            pretrained=None,
            classes=CLASSES,
            precision='fp64',
            data_preprocessor=dict(mean=None, std=None),
            **CASES[case],
        )
    )
    if hasattr(model.head, 'fill'):
        model.head.fill(torch.randn(2, 8, 32), torch.arange(8) % 5)
    if get_world_size() == 1:
        return model.train()
    return MMDistributedDataParallel(model.train(), device_ids=None, broadcast_buffers=False)


def labels(model, images):
    """One image has its label among the selected classes, the others not."""
    if getattr(model.visual_prompt, 'top_k', 0) in (0, len(CLASSES)):  # none, all
        return [i % getattr(model.head, 'always', 5) for i in range(len(images))]
    with torch.no_grad():
        ids = model.match(images.double()).class_ids.tolist()
    missed = [next(c for c in range(5) if c not in row) for row in ids]
    return [ids[0][1], *missed[1:]]


def train(case):
    """tuple: Losses and gradients of every step, and what is learnt."""
    model, hub = build(case), MessageHub.get_current_instance()
    inner = getattr(model, 'module', model)
    optim = build_optim_wrapper(
        model,
        dict(
            type='ProGradOptimWrapper' if inner.head.second_loss else 'OptimWrapper',
            optimizer=dict(type='SGD', lr=0.1, momentum=0.9),
        ),
    )
    learnt = {n: p for n, p in inner.named_parameters() if p.requires_grad}
    losses, gradients = [], []
    optim.optimizer.register_step_pre_hook(
        lambda *_: gradients.append({n: p.grad.clone() for n, p in learnt.items()})
    )
    share = slice(get_rank(), None, get_world_size())
    for step, (count, epoch) in enumerate(STEPS):
        inner.head.set_epoch(epoch)
        for name, value in dict(iter=step, seed=7).items():
            hub.update_info(name, value)
        torch.manual_seed(step)
        images = torch.randn(count, 3, 32, 32)
        samples = [
            DataSample(metainfo=dict(sample_idx=3 * i)).set_gt_label(label)
            for i, label in enumerate(labels(inner, images))
        ]
        for sample, image in zip(samples, images):
            sample.set_field(image.flip(0), 'img2')
        logs = model.train_step(dict(inputs=images[share], data_samples=samples[share]), optim)
        MeanLossHook().after_train_iter(None, step, outputs=logs)
        losses.append({n: v.detach().clone() for n, v in logs.items()})
    return losses, gradients, {n: p.detach().clone() for n, p in learnt.items()}


def config(name, work_dir, images=32, **options):
    """Config: A short training on 15 digits, tested on 201, in double precision."""
    cfg = Config.fromfile(os.path.join(ROOT, 'configs', name))
    world = get_world_size()
    cfg.merge_from_dict(
        {
            'work_dir': str(work_dir),
            'log_level': 'ERROR',
            'model.precision': 'fp64',
            'dataset.subset': 'base',
            'train_dataloader.dataset.shots': 3,
            'train_cfg.max_epochs': 2,
            'default_hooks.report.baselines': [],
            'train_dataloader.batch_size': images // world,
            'test_dataloader.batch_size': 64,
            'experiment_name': os.path.basename(str(work_dir)),
            **options,
        }
    )
    cfg.test_dataloader.dataset.indices = 201
    cfg.val_dataloader.dataset.indices = 201
    cfg.launcher = 'pytorch' if world > 1 else 'none'
    return cfg


RUNS = {
    # two images of one class a step, of which there are three
    'skiptuning': ('skiptuning/skiptuning_tiny_digits_16shot.py', dict(images=2)),
    'coprompt': ('coprompt/coprompt_tiny_digits_16shot.py', {}),
    'lora': ('clip_lora/clip_lora_tiny_digits_16shot.py', {}),
    'twosfs': ('twosfs/twosfs_tiny_digits_16shot.py', {'train_cfg.max_epochs': 3}),
    'tip': (
        'tip_adapter/tip_adapter_tiny_digits_16shot.py',
        {
            'model.head.num_keys': 15,
            'train_cfg.views': 2,
            'train_cfg.search': dict(_delete_=True, scale=(7, 3), steps=(200, 20)),
        },
    ),
    'clap': (
        'clap/clap_tiny_digits_16shot.py',
        {'model.head.adaptive': True, 'train_cfg.views': 3},
    ),
    'crossmodal': ('crossmodal_lp/crossmodal_lp_tiny_digits_16shot.py', {'train_cfg.views': 2}),
    'promptsrc': (
        'promptsrc/promptsrc_tiny_digits_16shot.py',
        {'custom_hooks': [dict(type='GaussianAggregationHook', mean=2, deviation=1)]},
    ),
    'promptkd': (
        'promptkd/promptkd_tiny_digits.py',
        {
            'model.teacher.model.precision': 'fp64',
            'dataset.subset': 'all',
            'train_dataloader.dataset.shots': None,
            'train_dataloader.dataset.indices': 15,
        },
    ),
}


def run(name, folder):
    """What a whole training learnt, and its log of losses."""
    file, options = RUNS[name]
    if name in ('tip', 'clap', 'crossmodal'):
        options = {
            **options,
            'test_cfg': dict(type='FrozenFeatureTestLoop', cache_dir=f'{folder}/cache'),
        }
    if name == 'promptkd':  # each number of processes keeps answers of its own
        place = f'{folder}/answers{get_world_size()}'
        hook = dict(type='KeptTeacherHook', cache_dir=place, batch_size=4)
        options = {**options, 'default_hooks.kept': hook}
    cfg = config(file, f'{folder}/{name}_{get_world_size()}_{get_rank()}', **options)
    runner = build_runner(cfg)
    runner.train()
    model = getattr(runner.model, 'module', runner.model)
    scalars = runner.message_hub.log_scalars
    return (
        {n: t.clone() for n, t in model.state_dict().items()},
        scalars['train/loss'].data[0] if 'train/loss' in scalars else [],
    )


def process(rank, world, folder, runs=True):
    """One of several processes; leaves its results in the folder."""
    found = {case: train(case) for case in CASES}
    whole = {name: run(name, folder) for name in RUNS} if runs else {}
    torch.save((found, whole), f'{folder}/{world}_{rank}.pt')

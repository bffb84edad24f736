"""Inputs of new cases of 2SFS and PromptKD, and the files that they make."""

import numpy as np

from helpers.twin import Clip
from helpers.twin_files import random_clip, read, save
from helpers.twin_promptkd import NOISE, PROJECTOR, START, promptkd
from helpers.twin_stages import Model, two_stage


class Draw:
    """Normal numbers in single precision, as the files hold them."""

    def __init__(self, seed):
        self.random = np.random.RandomState(seed)

    def __call__(self, *shape, std=1.0, mean=0.0):
        return (mean + std * self.random.standard_normal(shape)).astype(np.float32)

    def pictures(self, name, shape, size, classes):
        labels = self.random.randint(classes, size=shape)
        return {f'{name}images': self(*shape, 3, size, size), f'{name}labels': labels}


def settings(like, plan, changes):
    """Those of a reference's file with changes, which may take some away (Ellipsis)."""
    meta, _, _ = read(like)
    meta = dict(meta, **changes, trajectory=dict(meta['trajectory'], **plan))
    return {k: v for k, v in meta.items() if v is not ...}


def stages(folder, like, plan, batch=4, passes=2, order=None, sizes=None, seed=1, **changes):
    """A case of 2SFS like one of the reference's files, with other settings."""
    meta = settings(like, plan, dict(changes, clip='clip_other.npz', batch=batch))
    clip_meta, clip = random_clip(seed, **(sizes or {}))
    draw, classes, size = Draw(seed), len(meta['class_names']), clip_meta['arch']['image']
    meta.update(image_size=size, logit_scale=float(np.exp(clip['logit_scale'])))
    given = draw.pictures('traj/', (passes, batch), size, classes)
    given.update({k: given[f'traj/{k}'][0] for k in ('images', 'labels')})
    if order:
        given['traj/batch_index'] = np.array(order)
    learnt = Model(meta, {}, clip).names()
    if 'stage' in meta:
        norms = [n for n in clip if '.ln_' in n and 'resblocks' in n]
        moved = {n: clip[n] + draw(*clip[n].shape, std=0.1) for n in norms}
        kinds = {n: 'param' if n in learnt else 'fixed' for n in norms}
        given.update({f'{kinds[n]}/{n}': v for n, v in moved.items()})
        if meta['stage'] == 2:
            rows = draw(classes, clip['visual.proj'].shape[1])
            given['param/classifier'] = rows * np.arange(1, classes + 1, dtype=np.float32)[:, None]
    else:
        given.update({f'param/{n}': clip[n] for n in learnt})
        given.update(draw.pictures('test/', (batch + 1,), size, classes))
        if 'new_class_names' in meta:
            new = len(meta['new_class_names'])
            given.update(draw.pictures('test_new/', (batch - 1,), size, new))
    meta, found = two_stage(meta, given, clip)
    save(folder / 'clip_other.npz', clip_meta, clip)
    save(folder / 'case.npz', meta, {**given, **found})


def prompt_sets(meta, draw, net, learner):
    """Prompts of one CLIP by the reference's names; ``learner`` starts the settings' names."""
    tower_sizes = dict(
        image=(net.w['visual.proj'].shape[0], net.layers('visual.transformer'), 'vision'),
        text=(net.w['text_projection'].shape[0], net.layers('transformer'), 'text'),
    )
    found = {}
    for tower, (width, layers, kind) in tower_sizes.items():
        if f'{learner}n_ctx_{kind}' not in meta:
            continue
        count, depth = meta[f'{learner}n_ctx_{kind}'], meta[f'{learner}prompt_depth_{kind}']
        first = 'image_encoder.VPT' if tower == 'image' else 'prompt_learner.ctx'
        names = [first] * (depth > 0 or tower == 'text') + [
            f'{tower}_encoder.transformer.resblocks.{i}.VPT_shallow'
            for i in range(1, min(depth, layers))
        ]
        found.update({n: draw(count, width, std=0.3) for n in names})
    return found


def distillation(
    folder, like, plan, batch=4, passes=2, sizes=None, teacher_sizes=None, seed=1, **changes
):
    """A case of PromptKD like one of the reference's files, with other settings."""
    clips = dict(clip='clip_student.npz', teacher_clip='clip_big.npz', batch=batch)
    plan = dict(plan, iterations_per_epoch=passes)
    meta = settings(like, plan, dict(changes, **clips))
    clip_meta, clip = random_clip(seed, **(sizes or {}))
    teacher_meta, teacher = random_clip(seed + 1, **{'scale': 20.0, **(teacher_sizes or {})})
    draw, classes, size = Draw(seed), len(meta['class_names']), clip_meta['arch']['image']
    meta.update(image_size=size)
    given = draw.pictures('traj/', (passes, batch), size, classes)
    given.update({k: given[f'traj/{k}'][0] for k in ('images', 'labels')})
    given['test/images'] = draw(batch + 1, 3, size, size)
    narrow, wide = (c['visual.proj'].shape[1] for c in (clip, teacher))
    params = {
        **prompt_sets(meta, draw, Clip(clip), ''),
        f'{PROJECTOR}.0.weight': draw(wide, narrow, 1, 1, std=0.1),
        f'{PROJECTOR}.0.bias': draw(wide, std=0.1),
        f'{PROJECTOR}.1.weight': draw(wide, mean=1.0, std=0.1),
        f'{PROJECTOR}.1.bias': draw(wide, std=0.1),
        f'{PROJECTOR}.3.weight': draw(wide, wide, 1, 1, std=0.1),
        f'{PROJECTOR}.3.bias': draw(wide, std=0.1),
    }
    buffers = dict(running_mean=draw(wide), running_var=draw(wide) ** 2 + np.float32(0.1))
    given.update({f'param/{n}': v for n, v in params.items()})
    given.update({f'buffer/{PROJECTOR}.1.{n}': v for n, v in buffers.items()})
    prompts = prompt_sets(meta, draw, Clip(teacher), 'teacher_')
    given.update({f'teacher/{n}': v for n, v in prompts.items()})
    meta, found = promptkd(meta, given, clip, teacher)
    found[NOISE] = 0 * found[NOISE]  # as it truly is
    found.setdefault(START, draw(*given['teacher/prompt_learner.ctx'].shape, std=0.02))
    save(folder / 'clip_student.npz', clip_meta, clip)
    save(folder / 'clip_big.npz', teacher_meta, teacher)
    save(folder / 'case.npz', meta, {**given, **found})

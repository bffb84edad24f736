"""Case files of the feature-space methods: all keys and settings of a reference file.

One function per method computes every output from the inputs and the settings of a case, be they
the reference file's or others (see twin.py, twin_features.py).
"""

import json
from functools import lru_cache

import numpy as np

from helpers import twin_clap, twin_fitted, twin_trained, twin_transclip
from helpers.twin import GOLDEN, Clip, weights
from helpers.twin_seen import Seen

OUTPUTS = dict(
    gda=twin_fitted.gda,
    gda_base2new=twin_fitted.gda,
    ape=twin_fitted.ape,
    lppp=twin_trained.lppp,
    prolip=twin_trained.prolip,
    prolip_search=twin_trained.prolip,
    zs_lp=twin_clap.clap,
    clap=twin_clap.clap,
    clap_adaptive=twin_clap.clap,
    crossmodal_lp=twin_clap.clap,
    transclip_zero_shot=twin_transclip.transclip,
    transclip_few_shot=twin_transclip.transclip,
)
kept_weights = lru_cache(weights)
SPLITS = ('', 'support/', 'val/', 'new/')
DRAWN = ('pool/', 'traj/permutation', 'traj/half_choice')


def reference(name):
    """Settings and arrays of a reference file."""
    with np.load(GOLDEN / f'{name}.npz') as file:
        arrays = {k: file[k] for k in file.files}
    return json.loads(str(arrays.pop('meta'))), arrays


def split(arrays, name):
    """Inputs, and the rest."""
    keys = [p + k for p in SPLITS for k in ('images', 'labels')]
    own = {'lppp': ('param/bias',), 'prolip': ()}.get(name, ())
    inputs = {k: v for k, v in arrays.items() if k in (*keys, *own) or k.startswith(DRAWN)}
    return inputs, {k: v for k, v in arrays.items() if k not in inputs}


def outputs(name, meta, inputs, clip):
    return OUTPUTS[name](meta, inputs, Seen(Clip(clip[1])))


def photos(rng, counts, views=None):
    """Noise around an image of each class; ``counts`` images of each, in ``views``."""
    labels = np.repeat(np.arange(len(counts)), counts)
    classes = np.random.default_rng(9).normal(size=(len(counts), 3, 32, 32))
    shape = (len(labels), 3, 32, 32) if views is None else (views, len(labels), 3, 32, 32)
    return (classes[labels] + rng.normal(size=shape)).astype(np.float32), labels


def told(meta, inputs):
    """Settings that repeat what the inputs are."""
    support = inputs.get('support/images', np.zeros((0,)))
    views, size = support.shape[:2] if support.ndim == 5 else (1, len(support))
    found = dict.fromkeys(('augment_epoch', 'repetitions', 'aug_views'), views)
    found['batches_per_epoch'] = max(1, size // meta.get('batch_size', 1))
    found['view_order'] = [(e + 1) % views for e in range(meta.get('epochs', 0))]
    return {k: v for k, v in found.items() if k in meta}


def make(folder, name, sizes, change=None, layers=None, seed=0, **settings):
    """Write a case like the reference file ``name`` with other inputs and settings.

    Args:
        folder (Path): Where to.
        name (str): The reference file.
        sizes (dict): By split ('query', 'support', 'val', 'new') the images of each class, and
            'views' of the support.
        change (callable, optional): Changes the inputs once they are drawn.
        layers (dict, optional): Depths of the towers.
        seed (int): Of the inputs.
        **settings: Of ``meta``; None takes one out.
    """
    meta, golden = reference(name)
    meta = {k: v for k, v in {**meta, **settings}.items() if v is not None}
    rng, inputs = np.random.default_rng(seed), {}
    for prefix in SPLITS:
        if f'{prefix}labels' in golden:
            counts = sizes[prefix.rstrip('/') or 'query']
            views = sizes['views'] if golden[f'{prefix}images'].ndim == 5 else None
            inputs[f'{prefix}images'], inputs[f'{prefix}labels'] = photos(rng, counts, views)
    meta.update(told(meta, inputs))
    if name == 'lppp':
        inputs['param/bias'] = rng.uniform(-1 / 8, 1 / 8, len(meta['class_names']))
    if 'pool/view' in golden:
        inputs.update(twin_clap.pool(rng, meta, inputs))
    if change is not None:
        change(inputs)
    clip = kept_weights(**(layers or {}))
    arrays = {**inputs, **outputs(name, meta, inputs, clip)}
    meta['tensors'] = {k: [list(np.shape(v)), str(v.dtype)] for k, v in arrays.items()}
    np.savez(folder / meta['clip'], meta=json.dumps(clip[0]), **clip[1])
    np.savez(folder / 'case.npz', meta=json.dumps(meta), **arrays)

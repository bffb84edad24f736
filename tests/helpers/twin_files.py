"""Case files in which one function gives all outputs of a case's inputs (see twin.py)."""

import json

import numpy as np
import torch

from helpers.twin import GOLDEN

INPUTS = ('param/', 'fixed/', 'teacher/', 'buffer/', 'test', 'traj/images', 'traj/labels')


def read(name):
    """Settings, inputs and outputs of one of the reference's files."""
    with np.load(GOLDEN / f'{name}.npz') as file:
        arrays = {k: file[k] for k in file.files}
    meta = json.loads(str(arrays.pop('meta')))
    given = {k: v for k, v in arrays.items() if k in ('images', 'labels') or k.startswith(INPUTS)}
    return meta, given, {k: v for k, v in arrays.items() if k not in given}


def save(path, meta, arrays):
    """A file as the reference's, which says what it holds."""
    arrays = {k: np.asarray(v.detach() if torch.is_tensor(v) else v) for k, v in arrays.items()}
    if 'tensors' in meta:
        meta = dict(meta, tensors={k: [[*v.shape], str(v.dtype)] for k, v in arrays.items()})
    np.savez(path, meta=json.dumps(meta), **arrays)


def tensors(arrays):
    """Inputs as the computation takes them."""
    return {
        k: t.double() if t.is_floating_point() else t
        for k, t in ((k, torch.from_numpy(v)) for k, v in arrays.items())
    }


def below(tensors, prefix):
    """Those of a prefix, which is taken off."""
    return {k[len(prefix) :]: t for k, t in tensors.items() if k.startswith(prefix)}


def random_clip(
    seed, image=32, patch=8, vwidth=64, vlayers=3, twidth=64, tlayers=2, embed=32, scale=30.0
):
    """Settings and weights of a CLIP with all of its sizes free; heads are 64 wide."""
    random = np.random.RandomState(seed)

    def draw(*shape, std=0.1, mean=0.0):
        return (mean + std * random.standard_normal(shape)).astype(np.float32)

    arrays = {
        'visual.class_embedding': draw(vwidth, std=0.5),
        'visual.positional_embedding': draw((image // patch) ** 2 + 1, vwidth, std=0.3),
        'visual.conv1.weight': draw(vwidth, 3, patch, patch),
        'visual.proj': draw(vwidth, embed),
        'positional_embedding': draw(77, twidth),
        'text_projection': draw(twidth, embed),
        'token_embedding.weight': draw(49408, twidth, std=0.5),
        'logit_scale': np.array(np.log(scale), np.float32),
    }
    norms = {'visual.ln_pre': vwidth, 'visual.ln_post': vwidth, 'ln_final': twidth}
    for tower, width, layers in (('visual.', vwidth, vlayers), ('', twidth, tlayers)):
        for block in (f'{tower}transformer.resblocks.{i}' for i in range(layers)):
            norms.update({f'{block}.ln_{i}': width for i in (1, 2)})
            arrays[f'{block}.attn.in_proj_weight'] = draw(3 * width, width)
            arrays[f'{block}.attn.in_proj_bias'] = draw(3 * width)
            for name, (rows, columns) in {
                'attn.out_proj': (width, width),
                'mlp.c_fc': (4 * width, width),
                'mlp.c_proj': (width, 4 * width),
            }.items():
                arrays[f'{block}.{name}.weight'] = draw(rows, columns)
                arrays[f'{block}.{name}.bias'] = draw(rows)
    for name, width in norms.items():
        arrays[f'{name}.weight'] = draw(width, mean=1.0)
        arrays[f'{name}.bias'] = draw(width, std=0.05)
    sizes = dict(image=image, patch=patch, vwidth=vwidth, vlayers=vlayers, twidth=twidth)
    meta = dict(
        arch=dict(sizes, seed=seed, tlayers=tlayers, embed=embed, context=77, vocab=49408),
        what='weights of a random CLIP',
        logit_scale_exponentiated=scale,
        vision_heads=vwidth // 64,
        text_heads=twidth // 64,
        activation='quick_gelu: x*sigmoid(1.702*x)',
        layernorm_eps=1e-5,
    )
    return meta, arrays

"""Small case files from plain PyTorch, which shares nothing with mmdpt.

Written after the formulas of the reference files' README; float64 throughout.
"""

import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from open_clip.tokenizer import SimpleTokenizer

GOLDEN = Path(__file__).resolve().parents[1] / 'data/golden'
CLASSES = ['american_bulldog', 'ox', 'cat', 'Egyptian Mau']
encode = SimpleTokenizer().encode


def weights(text_layers=4, image_layers=4):
    """The tiny CLIP, with its first blocks, or with some of them twice."""
    with np.load(GOLDEN / 'clip_tiny.npz') as file:
        old = {k: file[k] for k in file.files}
    meta, new = json.loads(str(old.pop('meta'))), {}
    for key, value in old.items():
        if '.resblocks.' not in f'.{key}':
            new[key] = value
            continue
        head, tail = key.split('resblocks.')
        block, tail = tail.split('.', 1)
        layers = image_layers if head.startswith('visual') else text_layers
        for i in range(int(block), layers, 4):
            new[f'{head}resblocks.{i}.{tail}'] = value
    meta['arch'].update(tlayers=text_layers, vlayers=image_layers)
    return meta, new


class Clip:
    """The towers; every prompt and image goes through whole.

    What the last pass through a tower left behind each block at the position that is read
    (end of text, class token) is kept in ``text_ends`` and ``class_tokens``.
    """

    def __init__(self, arrays):
        self.w = {k: torch.from_numpy(np.asarray(v)).double() for k, v in arrays.items()}
        self.scale = self.w['logit_scale'].exp()

    def norm(self, name, x):
        return F.layer_norm(x, x.shape[-1:], self.w[f'{name}.weight'], self.w[f'{name}.bias'])

    def linear(self, name, x):
        return x @ self.w[f'{name}.weight'].T + self.w[f'{name}.bias']

    def block(self, name, x, mask, delta=0.0):
        w, split = self.w, (-1, 64)
        qkv = (
            self.norm(f'{name}.ln_1', x) @ (w[f'{name}.attn.in_proj_weight'] + delta).T
            + w[f'{name}.attn.in_proj_bias']
        )
        q, k, v = (t.unflatten(-1, split).transpose(1, 2) for t in qkv.chunk(3, -1))
        scores = q @ k.transpose(-1, -2) / 8 + mask
        mixed = (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)
        x = x + self.linear(f'{name}.attn.out_proj', mixed)
        h = self.linear(f'{name}.mlp.c_fc', self.norm(f'{name}.ln_2', x))
        return x + self.linear(f'{name}.mlp.c_proj', h * (1.702 * h).sigmoid())

    def layers(self, tower):
        return len(
            [
                k
                for k in self.w
                if k.startswith(f'{tower}.resblocks.') and k.endswith('.ln_1.weight')
            ]
        )

    def text(self, prompts, deep=(), deltas=None, blend=None):
        """Features of prompts given as ``(embeddings (L, D), ids)``; ``blend``
        gives by block the tokens (C, n, D) to mix in and their share."""
        ends = [len(ids) - 1 for _, ids in prompts]
        x = torch.nn.utils.rnn.pad_sequence([p for p, _ in prompts], True)
        length = x.shape[1]
        x = x + self.w['positional_embedding'][:length]
        mask = x.new_full((length, length), -np.inf).triu(1)
        self.text_ends = []
        for i in range(self.layers('transformer')):
            if 1 <= i <= len(deep):
                tokens = deep[i - 1].expand(len(x), -1, -1)
                x = torch.cat([x[:, :1], tokens, x[:, 1 + tokens.shape[1] :]], 1)
            if i in (blend or {}):
                tokens, share = blend[i]
                last = 1 + tokens.shape[1]
                mixed = share * tokens + (1 - share) * x[:, 1:last]
                x = torch.cat([x[:, :1], mixed, x[:, last:]], 1)
            x = self.block(f'transformer.resblocks.{i}', x, mask, (deltas or {}).get(i, 0.0))
            self.text_ends.append(x[range(len(x)), ends])
        x = self.norm('ln_final', x)
        return x[range(len(x)), ends] @ self.w['text_projection']

    def image(self, images, prompts=(), pre_norm=False, deltas=None):
        """Features of images, with the prompts of each block: tokens, or a
        function that makes them of what enters it."""
        w = self.w
        x = F.conv2d(images, w['visual.conv1.weight'], stride=w['visual.conv1.weight'].shape[-1])
        x = x.flatten(2).transpose(1, 2)
        cls = w['visual.class_embedding'].expand(len(x), 1, -1)
        x = torch.cat([cls, x], 1) + w['visual.positional_embedding']
        count = x.shape[1]
        x = self.norm('visual.ln_pre', x)
        self.class_tokens = []
        for i in range(self.layers('visual.transformer')):
            if i < len(prompts):
                made = prompts[i](x[:, :count]) if callable(prompts[i]) else prompts[i]
                new = made.expand(len(x), -1, -1)
                if i == 0 and pre_norm:
                    new = self.norm('visual.ln_pre', new)
                x = torch.cat([x[:, :count], new], 1)
            x = self.block(f'visual.transformer.resblocks.{i}', x, 0.0, (deltas or {}).get(i, 0.0))
            self.class_tokens.append(x[:, 0])
        return self.norm('visual.ln_post', x[:, 0]) @ w['visual.proj']

    def prompts(self, words, context=None, classes=CLASSES):
        """Words, class name and full stop; the context takes the place of the
        first tokens behind the start."""
        found = []
        for name in classes:
            text = words.replace('{}', name.replace('_', ' '))
            ids = [49406, *encode(text), 49407]
            x = self.w['token_embedding.weight'][ids]
            if context is not None:
                x = torch.cat([x[:1], context, x[1 + len(context) :]])
            found.append((x, ids))
        return found

    def filled(self, template='a photo of a {}.', classes=CLASSES):
        return F.normalize(self.text(self.prompts(template, classes=classes)), dim=-1)

    def logits(self, image, text, scale=None):
        return (
            (scale or self.scale)
            * F.normalize(image, dim=-1)
            @ F.normalize(text, dim=-1).transpose(-1, -2)
        )


def pictures(seed=0):
    """Five images and their labels."""
    random = torch.Generator().manual_seed(seed)
    return (torch.randn(5, 3, 32, 32, generator=random), torch.tensor([0, 1, 2, 3, 1]))


def draw(shapes):
    """Parameters by name, single precision values as in the files."""
    random = torch.Generator().manual_seed(3)
    return {
        name: (0.1 * torch.randn(*shape, generator=random)).double().requires_grad_()
        for name, shape in shapes.items()
    }


def token_ids(prompts):
    return np.array([ids + [0] * (77 - len(ids)) for _, ids in prompts], np.int32)


def write(folder, meta, params, found, clip=None):
    """Write a case and its CLIP.

    Args:
        folder (Path): Where to.
        meta (dict): The settings.
        params (dict): Learnable tensors by the reference's names.
        found (dict): Outputs by key. The gradients are those of
            ``loss/total``, if it is there.
        clip (tuple, optional): What :func:`weights` gave.
    """
    clip_meta, clip_arrays = clip or weights()
    np.savez(folder / 'clip.npz', meta=json.dumps(clip_meta), **clip_arrays)
    images, labels = pictures()
    arrays = dict(found, images=images, labels=labels)
    if 'loss/total' in found and params:
        found['loss/total'].backward()
        arrays.update({f'grad/{n}': p.grad for n, p in params.items() if p.grad is not None})
    arrays.update({f'param/{n}': p.float() for n, p in params.items()})
    arrays = {
        k: v.detach().numpy() if isinstance(v, torch.Tensor) else v for k, v in arrays.items()
    }
    meta = dict(dict(class_names=CLASSES, clip='clip.npz', template='a photo of a {}.'), **meta)
    np.savez(folder / 'case.npz', meta=json.dumps(meta), **arrays)

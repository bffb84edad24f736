"""A CLIP's weights in every form of file."""

import torch
from safetensors.torch import save_file


class Archive(torch.nn.Module):
    """What OpenAI published: a traced module, half weights, extra buffers."""

    def __init__(self, weights):
        super().__init__()
        self.register_buffer('input_resolution', torch.tensor(32))
        self.register_buffer('context_length', torch.tensor(77))
        self.register_buffer('vocab_size', torch.tensor(49408))
        for name, value in weights.items():
            *path, last = name.split('.')
            module = self
            for part in path:
                if part not in module._modules:
                    module.add_module(part, torch.nn.Module())
                module = module._modules[part]
            module.register_buffer(last, value.half())

    def forward(self, x):
        return x


def save(weights, form, folder):
    path = folder / f'weights.{form}'
    if form == 'safetensors':
        save_file({k: v.contiguous() for k, v in weights.items()}, str(path))
    elif form == 'archive.pt':
        torch.jit.save(torch.jit.script(Archive(weights)), str(path))
    elif form == 'bare.pt':
        torch.save(weights, path)
    elif form == 'nested.pt':
        torch.save(dict(epoch=3, state_dict={f'module.{k}': v for k, v in weights.items()}), path)
    return str(path)

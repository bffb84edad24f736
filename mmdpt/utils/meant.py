"""What people call a setting, and what it is called."""

import difflib
from collections.abc import Iterable

SETTINGS = dict(
    shots='train_dataloader.dataset.shots',
    epochs='train_cfg.max_epochs',
    max_epochs='train_cfg.max_epochs',
    batch_size='train_dataloader.batch_size',
    workers='train_dataloader.num_workers',
    num_workers='train_dataloader.num_workers',
    lr='optim_wrapper.optimizer.lr',
    learning_rate='optim_wrapper.optimizer.lr',
    data='dataset.data_root',
    data_root='dataset.data_root',
    data_dir='dataset.data_root',
    root='dataset.data_root',
    photos='dataset.data_root',
    classes='dataset.classes',
    template='dataset.templates',
    templates='dataset.templates',
    rename='dataset.rename',
    arch='model.arch',
    pretrained='model.pretrained',
)
DEVICE = 'the first GPU is taken that can be seen: CUDA_VISIBLE_DEVICES=1 before the command '
DEVICE += 'chooses another, CUDA_VISIBLE_DEVICES= the CPU'
NAME = "the config's name says it, such as coop_vitb16_custom; mmdpt fit has --method"
OTHERS = {
    **dict.fromkeys(('device', 'gpu', 'gpus', 'gpu_id', 'cuda', 'cpu'), DEVICE),
    **dict.fromkeys(('method', 'model', 'dataset', 'config'), NAME),
    **dict.fromkeys(('out', 'output', 'output_dir', 'save_dir'), 'say --work-dir FOLDER'),
}


def beyond(command: str, rest: str, flags: Iterable[str]) -> str:
    """A remedy for what a command line has too much.

    Args:
        command (str): Its name.
        rest (str): What argparse did not know, as it was typed.
        flags (Iterable[str]): What it does know.
    """
    first, _, more = rest.partition(' ')
    flag, _, value = first.partition('=')
    if not flag.startswith('-'):
        return (
            f'{command} takes one config, and {flag!r} is too much. Photos: --cfg-options '
            f'dataset.data_root={flag}; a value with spaces: in quotation marks'
        )
    value = value or more.partition(' --')[0] or 'VALUE'
    name = flag.lstrip('-').replace('-', '_').lower()
    if name in SETTINGS:
        value = f'"{SETTINGS[name]}={value}"' if ' ' in value else f'{SETTINGS[name]}={value}'
        return f'{command} has no {flag}: say --cfg-options {value}'
    near = difflib.get_close_matches(flag, flags, 1)
    remedy = f'did you mean {near[0]}?' if near else f'mmdpt {command} --help lists the options'
    return f'{command} has no {flag}: {OTHERS.get(name, remedy)}'

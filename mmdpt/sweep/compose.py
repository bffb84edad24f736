"""The few-line config of a method, a tower, a dataset and a number of shots."""

from textwrap import wrap

from ..paths import root
from . import tiny
from .published import EVALUATION_ONLY, METHODS, OWN, UNLABELLED, WITHOUT_SHOTS, settings
from .published.own import CHOOSE_ON_VAL

CONFIGS = root() / 'configs'
DATASETS = dict(  # file name: title
    imagenet='ImageNet',
    caltech101='Caltech101',
    oxfordpets='OxfordPets',
    stanfordcars='StanfordCars',
    flowers102='Flowers102',
    food101='Food101',
    fgvcaircraft='FGVC-Aircraft',
    sun397='SUN397',
    dtd='DTD',
    eurosat='EuroSAT',
    ucf101='UCF101',
)
VARIANTS = dict(  # to test on only
    imagenetv2='ImageNetV2',
    imagenetsketch='ImageNet-Sketch',
    imageneta='ImageNet-A',
    imagenetr='ImageNet-R',
)
TITLED = {**DATASETS, **VARIANTS, OWN: 'your own photos'}
ARCHS = dict(  # file name: (title, open_clip name)
    vitb16=('ViT-B/16', 'ViT-B-16-quickgelu'),
    vitb32=('ViT-B/32', 'ViT-B-32-quickgelu'),
    vitl14=('ViT-L/14', 'ViT-L-14-quickgelu'),
    rn50=('ResNet-50', 'RN50-quickgelu'),
    rn101=('ResNet-101', 'RN101-quickgelu'),
)
TITLES = dict(
    dpt='DPT',
    coop='CoOp',
    cocoop='CoCoOp',
    kgcoop='KgCoOp',
    prograd='ProGrad',
    maple='MaPLe',
    promptsrc='PromptSRC',
    tcp='TCP',
    mmrl='MMRL',
    mmrlpp='MMRL++',
    vlp='VLP',
    vpt='VPT-deep',
    vpt_shallow='VPT-shallow',
    clip_adapter='CLIP-Adapter',
    clip_lora='CLIP-LoRA',
    twosfs='2SFS',
    skiptuning='SkipTuning',
    coprompt='CoPrompt',
    tip_adapter='Tip-Adapter',
    tip_adapter_f='Tip-Adapter-F',
    zeroshot='Zero-shot CLIP',
    zeroshot_ensemble='Zero-shot CLIP with 8 templates',
    zeroshot_ensemble80='Zero-shot CLIP with 80 templates',
    linear_probe='Linear probe',
    gda='GDA',
    lppp='LP++',
    zs_lp='ZS-LP',
    clap='CLAP',
    crossmodal_lp='Cross-modal linear probe',
    prolip='ProLIP',
    promptkd='PromptKD',
    ape='APE',
)


def epochs(method, dataset, shots):
    """(int, str): Number of epochs, and where it comes from."""
    found = settings(method, dataset, shots)
    return found.epochs, found.source


def notes(method, dataset, shots):
    """Where the values come from, in sentences."""
    found = settings(method, dataset, shots)
    text = f'{found.epochs} epochs: {found.source}.' if found.epochs else ''
    return '\n'.join(wrap((text + found.notes).strip(), 79))


def stem(method, arch, dataset, shots=None):
    """Name of the config file, without its ending."""
    name = f'{method}_{arch}_{dataset}'
    without = method in WITHOUT_SHOTS or (dataset == OWN and shots is None)
    return name if without else f'{name}_{shots}shot'


def file_name(method, arch, dataset, shots=None):
    """Path under ``configs``."""
    return f'{method}/{stem(method, arch, dataset, shots)}.py'


def find_leaf(method, arch, dataset, shots=None):
    """Path | None: The config file of a combination, if there is one."""
    found = sorted(CONFIGS.glob(f'*/{stem(method, arch, dataset, shots)}.py'))
    return found[0] if found else None


def leaf(method, arch, dataset, shots=None, base='..', command=None):
    """The text of a config file.

    Args:
        method (str): A file of ``_base_/methods``.
        arch (str): A key of ``ARCHS``, or 'tiny' for your own photos.
        dataset (str): A file of ``_base_/datasets``.
        shots (int, optional): Training images per class; None for methods that
            learn nothing or read no label, and for all of your own photos.
        base (str): Where ``_base_`` is, seen from the file.
        command (str, optional): The command of the docstring.

    Raises:
        ValueError: If a name is unknown, if the dataset has nothing to train
            on, or if shots are missing.
    """
    learns = method not in EVALUATION_ONLY
    check_names(method, arch, dataset)
    if method in UNLABELLED and shots is not None:
        raise ValueError(
            f'{method} learns from images without labels, which are not drawn by shots: '
            f'its config is {stem(method, arch, dataset)}'
        )
    every = method in UNLABELLED or (dataset == OWN and shots is None)
    if learns and not every and not (isinstance(shots, int) and shots > 0):
        raise ValueError(
            f'{method} is trained, so it needs a positive number of shots, got {shots!r}: '
            f'the name of its config ends in _16shot, or in another number'
        )
    title, name = {**ARCHS, tiny.ARCH: (tiny.TITLE, '')}[arch]
    head = f'{TITLES[method]}, {title}, {TITLED[dataset]}'
    if learns and shots:
        head += f', {shots} {"shot" if shots == 1 else "shots"}'
    tool = 'train' if learns else 'test'
    path = file_name(method, arch, dataset, shots)
    command = command or f'python tools/{tool}.py configs/{path}'
    sources = f'\n{notes(method, dataset, shots)}\n' if learns else ''
    if arch == tiny.ARCH:
        sources, body = '', tiny.tiny_leaf(method, dataset, shots, base)
    else:
        bases = f"['{base}/_base_/methods/{method}.py', '{base}/_base_/datasets/{dataset}.py']"
        model = f"model = dict(arch='{name}', classes=_base_.dataset.name)\n"
        model = _training(method, name, dataset, shots) if learns else model
        body = f'_base_ = {bases}\n\n{model}'
    if dataset == OWN and method in CHOOSE_ON_VAL and 'search=None' not in body:
        body += 'dataset = dict(draw_val=True)  # photos are put aside to choose settings on\n'
    return f'''"""{head}.

    {command}
{sources}"""

{body}'''


def _training(method, name, dataset, shots):
    found = settings(method, dataset, shots)
    more = ''.join(f', {key}={_code(value)}' for key, value in found.model.items())
    batch = f'batch_size={found.batch_size}, ' if found.batch_size else ''
    batch += 'batch_sampler=dict(keep_last=True), ' if found.keep_last else ''
    epochs = f'max_epochs={found.epochs}' if found.epochs else ''
    loop = ', '.join(filter(None, [found.loop, epochs]))
    return f"""model = dict(arch='{name}', classes=_base_.dataset.name{more})
train_dataloader = dict({batch}{found.loader}dataset=dict(shots={shots}{found.data}))
train_cfg = dict({loop})
{found.lines}"""


def _code(value):
    if isinstance(value, dict):
        return f'dict({", ".join(f"{k}={_code(v)}" for k, v in value.items())})'
    return repr(value)


def choices() -> list[tuple[str, list[str]]]:
    """What can be composed: option of the command line, names."""
    return [
        ('--methods', [*METHODS, *UNLABELLED, *EVALUATION_ONLY]),
        ('--archs', [*ARCHS, tiny.ARCH]),
        ('--datasets', [*TITLED]),
    ]


def check_names(method, arch, dataset):
    """Raise ValueError unless the three can be composed."""
    _check('method', method, TITLES)
    _check('architecture', arch, [*ARCHS, tiny.ARCH])
    _check('dataset', dataset, TITLED)
    if dataset in VARIANTS and method not in EVALUATION_ONLY:
        raise ValueError(
            f'{dataset} is for evaluation only: {method} cannot be trained on it. '
            'Train on imagenet and use tools/test_protocol.py'
        )


def _check(kind, name, known):
    if name not in known:
        raise ValueError(
            f"no config file has the {kind} '{name}', and it cannot be composed "
            f'either: choose among {", ".join(known)}, or write the file'
        )

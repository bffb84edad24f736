"""Write the few-line config files of the benchmark's grid.

    python tools/make_configs.py

Each leaf says what it is: method, tower, dataset, shots. The files are
written from here, so that a changed value changes all of them.
"""
from pathlib import Path
from textwrap import wrap

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
DATASETS = dict(  # file name: title
    imagenet='ImageNet', caltech101='Caltech101', oxfordpets='OxfordPets',
    stanfordcars='StanfordCars', flowers102='Flowers102', food101='Food101',
    fgvcaircraft='FGVC-Aircraft', sun397='SUN397', dtd='DTD',
    eurosat='EuroSAT', ucf101='UCF101')
SHOTS = (1, 2, 4, 8, 16)
ARCHS = dict(  # file name: (title, open_clip name)
    vitb16=('ViT-B/16', 'ViT-B-16-quickgelu'),
    vitb32=('ViT-B/32', 'ViT-B-32-quickgelu'),
    vitl14=('ViT-L/14', 'ViT-L-14-quickgelu'))
TITLES = dict(dpt='DPT', coop='CoOp')
COOP_EPOCHS = {1: 50, 2: 100, 4: 100, 8: 200, 16: 200}
# beside DPT on ViT-B/16, which is written for all datasets and shots
EXEMPLARS = (('dpt', 'vitb32', 'eurosat', 1), ('dpt', 'vitl14', 'eurosat', 16),
             ('coop', 'vitb16', 'eurosat', 16))


def epochs(method, dataset, shots):
    """Number of epochs, and where it comes from."""
    if method == 'coop':
        if dataset == 'imagenet':
            return 50, "the authors' setting for ImageNet"
        return COOP_EPOCHS[shots], "the authors' setting for these shots"
    if shots == 1:
        return 60, "the authors' 1-shot script"
    return 100, "the authors' default file"


def notes(method, dataset, shots):
    """Where the values come from, in sentences."""
    number, source = epochs(method, dataset, shots)
    text = f'{number} epochs: {source}.'
    if method == 'dpt' and shots > 1:
        text += ' The 30 guided epochs of their 1-shot script are kept: our ' \
                'choice.'
    if method == 'dpt' and dataset == 'imagenet':
        text += ' 1 epoch of warm-up on ImageNet: their code.'
    return '\n'.join(wrap(text, 79))


def leaf(method, arch, dataset, shots, base='..'):
    """The text of a config file.

    Args:
        method (str): A file of ``_base_/methods``.
        arch (str): A key of ``ARCHS``.
        dataset (str): A file of ``_base_/datasets``.
        shots (int): Training images a class.
        base (str): Where ``_base_`` lies, seen from the file.
    """
    title, name = ARCHS[arch]
    shot = 'shot' if shots == 1 else 'shots'
    warmup = 'param_scheduler = dict(warmup_epochs=1)\n' \
        if method == 'dpt' and dataset == 'imagenet' else ''
    return f'''"""{TITLES[method]}, {title}, {DATASETS[dataset]}, {shots} {shot}.

    python tools/train.py configs/{file_name(method, arch, dataset, shots)}

{notes(method, dataset, shots)}
"""
_base_ = ['{base}/_base_/methods/{method}.py', '{base}/_base_/datasets/{dataset}.py']

model = dict(arch='{name}', classes=_base_.dataset.name)
train_dataloader = dict(dataset=dict(shots={shots}))
train_cfg = dict(max_epochs={epochs(method, dataset, shots)[0]})
{warmup}'''


def file_name(method, arch, dataset, shots):
    """Path under ``configs``."""
    return f'{method}/{method}_{arch}_{dataset}_{shots}shot.py'


def grid():
    """The combinations that are files."""
    return [('dpt', 'vitb16', d, n) for d in DATASETS for n in SHOTS] + \
        list(EXEMPLARS)


def main():
    for combination in grid():
        path = CONFIGS / file_name(*combination)
        path.write_text(leaf(*combination), encoding='utf-8')
    print(f'{len(grid())} files in {CONFIGS}')


if __name__ == '__main__':
    main()

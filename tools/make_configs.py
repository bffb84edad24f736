"""Write the few-line config files of the benchmark's grid.

    python tools/make_configs.py

Each leaf says what it is: method, tower, dataset, shots. The files are
written from :mod:`mmdpt.sweep.compose`, so that a changed value changes all of
them; tools/sweep.py composes the other combinations when it runs.
"""

from mmdpt.sweep.compose import ARCHS, CONFIGS, DATASETS, epochs, file_name, leaf, notes

__all__ = ['ARCHS', 'CONFIGS', 'DATASETS', 'epochs', 'file_name', 'grid', 'leaf', 'notes']
SHOTS = (1, 2, 4, 8, 16)
# beside DPT on ViT-B/16, which is written for all datasets and shots
EXEMPLARS = (
    ('dpt', 'vitb32', 'eurosat', 1),
    ('dpt', 'vitl14', 'eurosat', 16),
    ('coop', 'vitb16', 'eurosat', 16),
)


def grid():
    """The combinations that are files."""
    return [('dpt', 'vitb16', d, n) for d in DATASETS for n in SHOTS] + list(EXEMPLARS)


def main():
    for combination in grid():
        path = CONFIGS / file_name(*combination)
        path.write_text(leaf(*combination), encoding='utf-8')
    print(f'{len(grid())} files in {CONFIGS}')


if __name__ == '__main__':
    main()

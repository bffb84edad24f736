"""The table of benchmarks and the configs that name them."""
from pathlib import Path

import pytest
from mmengine.config import Config
from mmpretrain.registry import TRANSFORMS

from mmdpt.datasets import BENCHMARKS, get_benchmark

CONFIGS = Path(__file__).parents[1] / 'configs/_base_'


def test_eurosat_is_the_published_one():
    eurosat = get_benchmark('EuroSAT')
    assert eurosat.classes == ('Annual Crop Land', 'Forest',
                               'Herbaceous Vegetation Land', 'Highway or Road',
                               'Industrial Buildings', 'Pasture Land',
                               'Permanent Crop Land', 'Residential Buildings',
                               'River', 'Sea or Lake')
    assert eurosat.templates == ('a centered satellite photo of {}.', )
    assert eurosat.sizes == (13500, 5400, 8100)
    assert (eurosat.folder, eurosat.image_dir,
            eurosat.split_file) == ('eurosat', '2750',
                                    'split_zhou_EuroSAT.json')


@pytest.mark.parametrize(
    'benchmark', BENCHMARKS.values(), ids=lambda b: b.name)
def test_every_benchmark_is_complete(benchmark):
    assert get_benchmark(benchmark.name.lower()) is benchmark
    assert get_benchmark(benchmark.name.upper()) is benchmark
    assert len(set(benchmark.classes)) == len(benchmark.classes) >= 2
    assert all(t.count('{}') == 1 for t in benchmark.templates)
    assert bool(benchmark.folder) == bool(benchmark.split_file)
    assert bool(benchmark.folder) == bool(benchmark.source)


def test_unknown_benchmark_gives_the_nearest_names():
    with pytest.raises(ValueError, match="'EuroSATs'. Nearest: EuroSAT"):
        get_benchmark('EuroSATs')
    with pytest.raises(ValueError, match='Known: EuroSAT, Digits'):
        get_benchmark('xyz')


@pytest.mark.parametrize('name', ['eurosat', 'digits'])
def test_data_configs(name):
    config = Config.fromfile(CONFIGS / f'datasets/{name}.py')
    assert get_benchmark(config.dataset.name).name == config.dataset.name
    for part in ('train', 'val', 'test'):
        loader = config[f'{part}_dataloader']
        assert loader.collate_fn.type == 'default_collate'
        assert len(list(map(TRANSFORMS.build, loader.dataset.pipeline))) > 1
        expected = dict(train='train', val='test', test='test')[part]
        assert loader.dataset.split == expected

"""The table of benchmarks and where class names come from."""

from pathlib import Path

import pytest

from mmdpt.datasets import BENCHMARKS, Benchmark, get_benchmark, repeated, resolve_classes

PUBLISHED = dict(  # train, val, test, classes
    Caltech101=(4128, 1649, 2465, 100),
    OxfordPets=(2944, 736, 3669, 37),
    StanfordCars=(6509, 1635, 8041, 196),
    Flowers102=(4093, 1633, 2463, 102),
    Food101=(50500, 20200, 30300, 101),
    FGVCAircraft=(3334, 3333, 3333, 100),
    SUN397=(15880, 3970, 19850, 397),
    DTD=(2820, 1128, 1692, 47),
    EuroSAT=(13500, 5400, 8100, 10),
    UCF101=(7639, 1898, 3783, 101),
    ImageNet=(1281167, 0, 50000, 1000),
    ImageNetV2=(0, 0, 10000, 1000),
    ImageNetSketch=(0, 0, 50889, 1000),
    ImageNetA=(0, 0, 7500, 200),
    ImageNetR=(0, 0, 30000, 200),
)


def test_eurosat_is_the_published_one():
    eurosat = get_benchmark('EuroSAT')
    assert eurosat.classes == (
        'Annual Crop Land',
        'Forest',
        'Herbaceous Vegetation Land',
        'Highway or Road',
        'Industrial Buildings',
        'Pasture Land',
        'Permanent Crop Land',
        'Residential Buildings',
        'River',
        'Sea or Lake',
    )
    assert eurosat.templates == ('a centered satellite photo of {}.',)
    assert (eurosat.folder, eurosat.image_dir, eurosat.split_file) == (
        'eurosat',
        '2750',
        'split_zhou_EuroSAT.json',
    )


def test_published_sizes():
    found = {b.name: (*b.sizes, b.num_classes) for b in BENCHMARKS.values() if b.layout != 'none'}
    assert found == PUBLISHED


@pytest.mark.parametrize('benchmark', BENCHMARKS.values(), ids=lambda b: b.name)
def test_every_benchmark_is_complete(benchmark):
    assert get_benchmark(benchmark.name.lower()) is benchmark
    assert get_benchmark(benchmark.name.upper()) is benchmark
    if benchmark.classes:
        assert len(benchmark.classes) == benchmark.num_classes
        assert resolve_classes(benchmark) == benchmark.classes
        assert not repeated(benchmark.classes)
    assert all(t.count('{}') == 1 for t in benchmark.templates)
    assert bool(benchmark.folder) == bool(benchmark.source)
    assert benchmark.evaluation_only == (
        benchmark.name in ('ImageNetV2', 'ImageNetSketch', 'ImageNetA', 'ImageNetR')
    )


@pytest.mark.parametrize(
    'name, found',
    [
        ('oxford_pets', 'OxfordPets'),
        ('imagenet-a', 'ImageNetA'),
        ('DescribableTextures', 'DTD'),
        ('oxford_flowers', 'Flowers102'),
        ('fgvc_aircraft', 'FGVCAircraft'),
    ],
)
def test_other_spellings(name, found):
    assert get_benchmark(name).name == found


def test_unknown_benchmark_gives_the_nearest_names():
    with pytest.raises(ValueError, match="'EuroSATs'. Nearest: EuroSAT"):
        get_benchmark('EuroSATs')
    with pytest.raises(ValueError, match='Known: ImageNet, Caltech101'):
        get_benchmark('xyz')


def test_halves_of_the_classes():
    base = resolve_classes('DTD', subset='base')
    assert (len(base), base[0]) == (24, 'banded')
    assert resolve_classes('DTD', subset='new')[0] == 'matted'
    with pytest.raises(ValueError, match="subset must be one of .* 'old'"):
        resolve_classes('DTD', subset='old')


def test_names_that_are_in_the_data_need_the_data(tmp_path):
    with pytest.raises(
        FileNotFoundError,
        match='StanfordCars: the folder .*split_zhou_StanfordCars.json.*set dataset.data_r',
    ):
        resolve_classes('StanfordCars', str(tmp_path))
    own = Benchmark('Own', ('a', 'b'), ('a {}.',))
    assert resolve_classes(own, str(tmp_path)) == ('a', 'b')


def test_the_table_in_the_docs():
    """The documented numbers, templates and places are those of the code."""
    docs = Path(__file__).parents[1] / 'docs/datasets.md'
    rows = [
        [cell.strip() for cell in line.strip('|').split('|')]
        for line in docs.read_text().splitlines()
        if line.startswith('| ')
    ]
    rows = {row[0]: row for row in rows if len(row) == 9}
    for name, (*sizes, classes) in PUBLISHED.items():
        benchmark, row = get_benchmark(name), rows[name]
        assert row[1] == f'`{benchmark.config_name}`'
        assert row[2] == f'{classes:,}'
        assert row[3] == ' / '.join(f'{n:,}' if n else '–' for n in sizes)
        assert row[4] == benchmark.templates[0]
        assert row[5] == f'`{benchmark.folder}`'
        assert row[6].startswith(f'`{benchmark.image_dir}')
        assert benchmark.split_file in row[7]

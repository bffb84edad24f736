"""Splits made from raw folders: proportions, renamings, the same each time."""

import json

import numpy as np
import pytest
from helpers.tools import tool
from helpers.trees import put, write_photos, write_tree

from mmdpt.datasets import FewShotDataset, get_layout
from mmdpt.datasets.class_names import DTD, OXFORD_PETS
from mmdpt.datasets.raw import RAW, RENAMED, make_split


def folders(place, names, count=10):
    for name in names:
        for i in range(count):
            put(place / name / f'{i}.jpg', i)


def lines(place, *rows):
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text('\n'.join(rows) + '\n')


def caltech(folder):
    folders(
        folder / '101_ObjectCategories',
        ['BACKGROUND_Google', 'Faces', 'Faces_easy', 'Leopards', 'accordion'],
    )


def food(folder):
    folders(folder / 'images', ['apple_pie', 'beignets'])


def textures(folder):
    folders(folder / 'images', DTD)


def eurosat(folder):
    folders(folder / '2750', RENAMED['EuroSAT'])


def pets(folder):
    rows = []
    for label, breed in enumerate(OXFORD_PETS, 1):
        for i in range(10):
            put(folder / f'images/{breed.title()}_{i}.jpg')
            rows.append(f'{breed.title()}_{i} {label} 1 1')
    lines(folder / 'annotations/trainval.txt', *rows)
    lines(
        folder / 'annotations/test.txt',
        *(f'{breed.title()}_99 {i} 1 1' for i, breed in enumerate(OXFORD_PETS, 1)),
    )


def cars(folder):
    from scipy.io import savemat

    names = np.array(['Audi S5 Coupe 2012', 'Ram C/V Cargo Van 2012'], dtype=object)
    kind = [('fname', 'O'), ('class', 'O')]

    def notes(count):
        return np.array([(f'{i:05d}.jpg', 1 + i % 2) for i in range(count)], dtype=kind)

    (folder / 'devkit').mkdir()
    savemat(folder / 'devkit/cars_meta.mat', dict(class_names=names))
    savemat(folder / 'devkit/cars_train_annos.mat', dict(annotations=notes(20)))
    savemat(folder / 'cars_test_annos_withlabels.mat', dict(annotations=notes(4)))


def flowers(folder):
    from scipy.io import savemat

    (folder / 'jpg').mkdir()
    savemat(folder / 'imagelabels.mat', dict(labels=np.array([[2, 1] * 10], np.uint8)))
    (folder / 'cat_to_name.json').write_text(json.dumps({'1': 'pink primrose', '2': "colt's foot"}))


def places(folder):
    (folder / 'SUN397').mkdir()
    names = ['/a/abbey', '/a/apartment_building/outdoor']
    lines(folder / 'ClassName.txt', *names)
    lines(folder / 'Training_01.txt', *(f'{n}/sun_{i}.jpg' for n in names for i in range(10)))
    lines(folder / 'Testing_01.txt', *(f'{n}/sun_t.jpg' for n in names))


def actions(folder):
    (folder / 'UCF-101-midframes').mkdir()
    place = folder / 'ucfTrainTestlist'
    lines(place / 'classInd.txt', '1 ApplyEyeMakeup', '2 YoYo')
    lines(
        place / 'trainlist01.txt',
        *(
            f'{n}/v_{n}_{i}.avi {j}'
            for j, n in enumerate(('ApplyEyeMakeup', 'YoYo'), 1)
            for i in range(10)
        ),
    )
    lines(place / 'testlist01.txt', 'ApplyEyeMakeup/v_t.avi', 'YoYo/v_t.avi')


CASES = dict(  # raw folder, class names, images, an item
    Caltech101=(caltech, ('face', 'leopard', 'accordion'), (15, 6, 9), ('Faces/0.jpg', 0, 'face')),
    Food101=(food, ('apple_pie', 'beignets'), (10, 4, 6), ('beignets/3.jpg', 1, 'beignets')),
    DTD=(textures, DTD, (235, 94, 141), ('banded/0.jpg', 0, 'banded')),
    EuroSAT=(
        eurosat,
        tuple(RENAMED['EuroSAT'].values()),
        (50, 20, 30),
        ('SeaLake/1.jpg', 9, 'Sea or Lake'),
    ),
    OxfordPets=(pets, OXFORD_PETS, (296, 74, 37), ('Abyssinian_0.jpg', 0, 'abyssinian')),
    StanfordCars=(
        cars,
        ('2012 Audi S5 Coupe', '2012 Ram C/V Cargo Van'),
        (16, 4, 4),
        ('cars_test/00001.jpg', 1, '2012 Ram C/V Cargo Van'),
    ),
    Flowers102=(
        flowers,
        ('pink primrose', "colt's foot"),
        (10, 4, 6),
        ('image_00001.jpg', 1, "colt's foot"),
    ),
    SUN397=(
        places,
        ('abbey', 'outdoor apartment_building'),
        (16, 4, 2),
        ('a/apartment_building/outdoor/sun_t.jpg', 1, 'outdoor apartment_building'),
    ),
    UCF101=(actions, ('Apply_Eye_Makeup', 'Yo_Yo'), (16, 4, 2), ('Yo_Yo/v_t.jpg', 1, 'Yo_Yo')),
)


def made(root, name):
    layout = get_layout(name, str(root))
    (root / layout.benchmark.folder).mkdir(exist_ok=True)
    CASES[name][0](root / layout.benchmark.folder)
    return layout, make_split(layout)


@pytest.mark.parametrize('name', RAW)
def test_proportions_and_names(tmp_path, name):
    assert set(CASES) == set(RAW)
    layout, split = made(tmp_path, name)
    _, classes, sizes, item = CASES[name]
    assert tuple(len(part) for part in split) == sizes
    items = [i for part in split for i in part]
    assert {i.label: i.name for i in items} == dict(enumerate(classes))
    assert item in items
    assert len({i.path for i in items}) == len(items)
    assert make_split(layout) == split != make_split(layout, seed=2)


def test_tool_writes_what_the_dataset_reads(tmp_path, capsys):
    layout, split = made(tmp_path, 'EuroSAT')
    with pytest.raises(FileNotFoundError, match='tools/make_split.py EuroSAT'):
        FewShotDataset('EuroSAT', data_root=str(tmp_path))
    tool('make_split', 'EuroSAT', '--data-root', tmp_path)
    out = capsys.readouterr().out
    assert '50/20/30 images (train/val/test), 10 classes' in out
    assert 'This is not the published split' in out
    path = layout.path('split_zhou_EuroSAT.json')
    content = json.load(open(path))
    assert content['made_by']['hash'] in out
    assert str(tmp_path) not in json.dumps(content)
    train = FewShotDataset('EuroSAT', data_root=str(tmp_path))
    assert len(train) == 50
    with pytest.raises(SystemExit, match='is there already; remove it first'):
        tool('make_split', 'EuroSAT', '--data-root', tmp_path)


def test_tool_divides_own_photos(tmp_path, capsys):
    photos = write_photos(tmp_path / 'photos')
    tool('make_split', photos, '--out', photos / 'split.json')
    own = FewShotDataset({}, data_root=str(photos / 'split.json'))
    assert len(own) == 15
    assert [own.get_data_info(i) for i in range(15)] == [
        dict(i, sample_idx=n)
        for n, i in enumerate(
            FewShotDataset({}, data_root=str(photos)).get_data_info(j) for j in range(15)
        )
    ]
    with pytest.raises(SystemExit, match='say where to write'):
        tool('make_split', photos)


def test_what_cannot_be_made(tmp_path):
    with pytest.raises(ValueError, match='FGVCAircraft needs no split file'):
        make_split(get_layout('FGVCAircraft', str(tmp_path)))
    with pytest.raises(FileNotFoundError, match='Food101: the folder'):
        make_split(get_layout('Food101', str(tmp_path)))
    write_tree(tmp_path, 'OxfordPets')
    with pytest.raises(FileNotFoundError, match='annotations/trainval.txt'):
        make_split(get_layout('OxfordPets', str(tmp_path)))
    write_tree(tmp_path, 'EuroSAT')  # folders of other names
    with pytest.raises(ValueError, match='class names|class order'):
        make_split(get_layout('EuroSAT', str(tmp_path)))

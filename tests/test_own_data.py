"""Own photos: folder, folder with lists, CSV, split file; wrong ones."""

import json
import re

import pytest
from helpers.trees import put, write_photos

from mmdpt.datasets import FewShotDataset, Item, own_benchmark, resolve_classes
from mmdpt.datasets.own_csv import read_csv
from mmdpt.datasets.own_files import divide

NAMES = ('big plate', 'cup', 'fork')
CSV = 'path,label\n' + ''.join(f'{name}/{i}.jpg,{name}\n' for name in NAMES for i in range(10))


@pytest.fixture
def photos(tmp_path):
    """Ten photos of each of three things."""
    return write_photos(tmp_path / 'photos')


def lists(place, **options):
    """Paths of the three lists."""
    found = []
    for split in ('train', 'val', 'test'):
        dataset = FewShotDataset(options, data_root=str(place), split=split)
        assert dataset.metainfo['classes'] == NAMES
        root = dataset.layout.images.rstrip('/') + '/'
        found.append(
            [
                (info['img_path'].replace(root, ''), info['gt_label'])
                for info in map(dataset.get_data_info, range(len(dataset)))
            ]
        )
    return found


def test_folder_is_divided_once_and_for_all(photos):
    found = lists(photos)
    assert [len(part) for part in found] == [15, 6, 9]
    assert found == lists(photos)
    assert len({path for part in found for path, _ in part}) == 30
    assert all(path.split('/')[0] == NAMES[label] for part in found for path, label in part)
    train = FewShotDataset(dict(fractions=[0.8, 0, 0.2]), data_root=str(photos))
    assert len(train) == 24


def test_folder_with_lists(tmp_path):
    for part, count in dict(train=4, val=2, test=3).items():
        write_photos(tmp_path / part, count=count)
    found = lists(tmp_path)
    assert [len(part) for part in found] == [12, 6, 9]
    assert found[0][0] == ('train/big plate/0.jpg', 0)


def test_csv(photos):
    file = photos / 'list.csv'
    file.write_text(CSV)
    assert [len(part) for part in lists(file)] == [15, 6, 9]
    rows = CSV.replace('path,label', 'path,label,split').splitlines()
    parts = ['train'] * 5 + ['val'] * 2 + ['test'] * 3
    rows[1:] = [f'{row},{part}' for row, part in zip(rows[1:], parts * 3)]
    file.write_text('\n'.join(rows))
    found = lists(file)
    assert [path for path, _ in found[0][:5]] == [f'big plate/{i}.jpg' for i in range(5)]
    assert [len(part) for part in found] == [15, 6, 9]


def test_csv_of_numbers(photos):
    file = photos / 'list.csv'
    text = CSV
    for number, name in enumerate(NAMES):
        text = text.replace(f',{name}\n', f',{number}\n')
    file.write_text(text.replace('path,label\n', ''))
    assert sum(map(len, lists(file, classes=NAMES))) == 30
    with pytest.raises(ValueError, match='labels .* are numbers. The prompts'):
        lists(file)
    with pytest.raises(
        ValueError, match='Line 21 .* label 2, but classes has 2 names, from 0 to 1'
    ):
        lists(file, classes=NAMES[:2])


def test_split_file(photos):
    file = photos / 'split.json'
    items = [
        [f'{name}/{i}.jpg', label, name] for label, name in enumerate(NAMES) for i in range(10)
    ]
    file.write_text(json.dumps(dict(train=items[::2], val=[], test=items[1::2])))
    train = FewShotDataset({}, data_root=str(file), shots=3)
    assert train.metainfo['classes'] == NAMES and len(train) == 9


def test_order_of_the_classes_can_be_chosen(photos):
    order = ('fork', 'cup', 'big plate')
    dataset = FewShotDataset(dict(classes=order), data_root=str(photos))
    assert dataset.metainfo['classes'] == order
    assert 'fork' in dataset.get_data_info(0)['img_path']
    assert resolve_classes(dict(classes=list(order)), str(photos)) == order


def test_templates():
    assert own_benchmark().templates == ('a photo of a {}.',)
    assert own_benchmark(templates='my_{}').templates == ('my {}',)


def test_names_and_templates_from_text_files(photos, tmp_path):
    (tmp_path / 'classes.txt').write_text('fork\nbig plate\n\ncup\n')
    (tmp_path / 'templates.txt').write_text('a {}, a thing.\nmy {}.\n')
    benchmark = own_benchmark(
        classes=str(tmp_path / 'classes.txt'), templates=str(tmp_path / 'templates.txt')
    )
    assert benchmark.classes == ('fork', 'big plate', 'cup')
    assert benchmark.templates == ('a {}, a thing.', 'my {}.')
    with pytest.raises(FileNotFoundError, match='none.txt. does not exist'):
        own_benchmark(classes='none.txt')


@pytest.mark.parametrize(
    'given', [['aphotoofa{}.'], ['a photo'], ['{} {}'], ['aphotoofa{}', 'amug.']]
)
def test_templates_that_a_command_line_mangled(given):
    with pytest.raises(ValueError, match='must be words with one {}') as error:
        own_benchmark(templates=given)
    assert ('--cfg-options removes spaces' in str(error.value)) == (' ' not in given[0])


def test_names_that_a_command_line_mangled(photos):
    dataset = FewShotDataset(dict(classes=['cup', 'bigplate', 'fork']), data_root=str(photos))
    assert dataset.metainfo['classes'] == ('cup', 'big plate', 'fork')


def test_few_photos():
    items = [Item(f'{i}.jpg', 0, 'cup') for i in range(9)]
    for count in range(2, 10):
        split = divide(items[:count], (0.5, 0.2, 0.3))
        assert sum(map(len, split)) == count and split.train and split.test
    assert list(map(len, divide(items, (1, 0, 0)))) == [9, 0, 0]
    with pytest.raises(
        ValueError,
        match=r"'cup' has 1 image\(s\); train and "
        'test need at least 2. Add images',
    ):
        divide(items[:1], (0.5, 0.2, 0.3))


@pytest.mark.parametrize(
    'options, words',
    [
        (dict(fractions=(0.5, 0.5, 0.5)), 'add up to 1'),
        (dict(classes=('cup', 'cup')), "'cup' appears twice in classes"),
        (dict(classes=('cup', 'fork')), "class 'big plate', which classes does"),
        (dict(classes=(*NAMES, 'pan')), "the class 'pan' has no image"),
    ],
)
def test_wrong_descriptions(photos, options, words):
    with pytest.raises(ValueError, match=words):
        FewShotDataset(options, data_root=str(photos))


def empty_class(folder):
    for file in (folder / 'cup').glob('*'):
        file.unlink()


def no_folders(folder):
    for name in NAMES:
        (folder / name).rename(folder.parent / name)


def one_class(folder):
    for name in NAMES[:2]:
        (folder / name).rename(folder.parent / name)


def no_test(folder):
    (folder / 'train').mkdir()
    for name in NAMES:
        (folder / name).rename(folder / 'train' / name)


def new_class_in_test(folder):
    no_test(folder)
    for name in ('cup', 'pan'):
        put(folder / 'test' / name / '0.jpg')


@pytest.mark.parametrize(
    'change, words',
    [
        (empty_class, "class folder .*cup' has no image. Put images into it"),
        (no_folders, 'has no subfolders. Own data may be'),
        (one_class, r"has 1 class\(es\) \['fork'\]; a classifier needs at least"),
        (no_test, 'has no test images. Your photos are looked for in'),
        (new_class_in_test, "the class 'pan' of .* has no train image"),
    ],
)
def test_wrong_folders(photos, change, words):
    change(photos)
    with pytest.raises(ValueError, match=words):
        FewShotDataset({}, data_root=str(photos))


@pytest.mark.parametrize(
    'text, words',
    [
        ('', 'has no images: expected lines of path, label'),
        ('path,name\na.jpg,cup\n', 'has no images: expected lines of path'),
        ('a.jpg,cup\nb.jpg\n', "Line 2 .* is 'b.jpg', expected path"),
        ('a.jpg,cup\n/b.jpg,cup\n', r'Line 2 .* expected path \(relative\)'),
        ('a.jpg,cup,dev\n', r'Line 1 .* split \(train, val, test\)'),
        ('a.jpg,cup,train\nb.jpg,cup\n', 'in some lines only'),
        ('a.jpg,mug\n', "Line 1 .* class 'mug', which is not in classes: cup, pan"),
    ],
)
def test_wrong_csv(tmp_path, text, words):
    file = tmp_path / 'list.csv'
    file.write_text(text)
    with pytest.raises(ValueError, match=words):
        read_csv(str(file), ('cup', 'pan'))


@pytest.mark.parametrize(
    'text, words',
    [
        ('image,class\na.jpg,cup\nb.jpg,pan\n', 'Line 1 .*seems to name columns: call them path'),
        ('file name,kind,list\na.jpg,cup,train\n', 'Line 1 .*seems to name columns'),
        ('path,label,spilt\na.jpg,cup,train\n', "'spilt' is unknown .nearest: 'split'"),
        ('path,label,label\na.jpg,cup,pan\n', "'one' is there twice"),
        ('a.jpg,cup,train,more\n', 'Line 1 .*more.* expected path'),
        ('path,label\na.jpg,cup,pan\n', 'Line 2 .* expected path'),
        ('a.jpg,cpu\n', "'cpu', which is not in classes: cup, pan .nearest: 'cup'"),
        ('a.jpg,0\nb.jpg,1000000000\n', 'Line 2 .* label 1000000000, but classes has 2'),
        ('a.jpg,0\nb.jpg,1' + '0' * 9000, 'Line 2 .* label 10+, but classes has 2'),
        ('a.jpg,cup\nb\x00.jpg,cup\n', 'Line 2 .* expected path'),
    ],
)
def test_slips_in_a_csv(tmp_path, text, words):
    file = tmp_path / 'list.csv'
    file.write_text(text)
    with pytest.raises(ValueError, match=words) as error:
        read_csv(str(file), ('cup', 'pan'))
    assert len(str(error.value).splitlines()) == 1 and len(str(error.value)) < 1000


def test_all_problems_of_a_csv_at_once(tmp_path):
    file = tmp_path / 'list.csv'
    rows = ['path,label', 'a.jpg,cup', 'b.jpg', '', '/c.jpg,cup', 'd.jpg,cpu', 'e.jpg,pan']
    file.write_text('\n'.join(rows + [f'{i}.jpg' for i in range(100)]))
    with pytest.raises(ValueError) as error:
        read_csv(str(file), ('cup', 'pan'))
    for words in ('Line 3 of', "Line 5 of .* is '/c.jpg,cup'", "Line 6 of .* has the class 'cpu'"):
        assert re.search(words, str(error.value))
    assert 'and 98 more lines up to 107' in str(error.value)


def test_columns_in_another_order(tmp_path):
    file = tmp_path / 'list.csv'
    file.write_text('Label,width,Path\ncup,3,a.jpg\npan,4,b.jpg\n')
    assert read_csv(str(file)) == [('a.jpg', 'cup', None), ('b.jpg', 'pan', None)]


def test_rare_class_is_a_slip(tmp_path):
    file = tmp_path / 'list.csv'
    file.write_text(CSV + 'cup/99.jpg,cpu\n')
    with pytest.raises(ValueError, match="class 'cpu' has 1 image.*nearest: 'cup'"):
        FewShotDataset({}, data_root=str(file))


def test_wrong_places(photos, tmp_path):
    with pytest.raises(
        FileNotFoundError, match='nothing. does not exist. Your photos are looked for in'
    ):
        FewShotDataset({}, data_root=str(tmp_path / 'nothing'))
    with pytest.raises(ValueError, match='neither a folder nor a .csv'):
        FewShotDataset({}, data_root=str(photos / 'cup/0.jpg'))
    (photos / 'list.csv').write_bytes(b'\xff\xfe\x00')
    with pytest.raises(ValueError, match='not a CSV file in UTF-8'):
        FewShotDataset({}, data_root=str(photos / 'list.csv'))


def test_missing_and_repeated_images(photos):
    file = photos / 'list.csv'
    file.write_text(CSV + 'cup/99.jpg,cup\n')
    with pytest.raises(
        FileNotFoundError,
        match=r'1 of \d+ images are missing,'
        ' the first is .*cup/99.jpg',
    ):
        for split in ('train', 'val', 'test'):
            FewShotDataset({}, data_root=str(file), split=split)
    file.write_text(CSV + 'cup/0.jpg,fork\n')
    with pytest.raises(ValueError, match="'cup/0.jpg' appears twice in "):
        FewShotDataset({}, data_root=str(file))

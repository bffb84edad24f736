"""Sentences per class: both forms of the file, and every fault told at once."""

import json

import pytest

from mmdpt.datasets.sentences import read_sentences

CLASSES = ['maine_coon', 'pug', 'shiba inu']
GIVEN = {
    'shiba inu': ['A shiba inu is a small dog.'],
    'maine coon': ['A maine coon has long fur.', 'A large cat, with tufted ears.'],
    'pug': ['A pug has a flat face.'],
}


def written(folder, text, name='sentences.json'):
    path = folder / name
    path.write_text(text, encoding='utf-8')
    return str(path)


def test_json_and_csv_give_the_same_in_the_order_of_the_classes(tmp_path):
    lines = [f'{name},"{sentence}"' for name, given in GIVEN.items() for sentence in given]
    expected = {
        'maine_coon': GIVEN['maine coon'],
        'pug': GIVEN['pug'],
        'shiba inu': GIVEN['shiba inu'],
    }
    for path in (
        written(tmp_path, json.dumps(GIVEN)),
        written(tmp_path, '\n'.join(['class,sentence', *lines]), 'sentences.csv'),
    ):
        found = read_sentences(path, CLASSES)
        assert found == expected
        assert list(found) == CLASSES


def test_lines_of_one_class_need_not_stand_together(tmp_path):
    text = 'Class,Sentence\na,first\nb,other\na," second\n line"\n'
    found = read_sentences(written(tmp_path, text, 'x.CSV'), ['a', 'b'])
    assert found == dict(a=['first', 'second line'], b=['other'])


def test_all_faults_of_names_are_told_at_once(tmp_path):
    text = '{"maine coon": ["x"], "maine_coon": ["y"], "pug": ["x", " "], "shiba inus": ["x"]}'
    with pytest.raises(ValueError) as error:
        read_sentences(written(tmp_path, text), CLASSES)
    told = str(error.value)
    assert "classes without a description: 'shiba inu';" in told
    assert "descriptions of no class: 'shiba inus' (nearest: 'shiba inu');" in told
    assert "classes that are there twice: 'maine_coon';" in told
    assert "classes with no sentence, or an empty one: 'pug'." in told


def test_a_key_that_json_has_twice_is_no_silent_choice(tmp_path):
    with pytest.raises(ValueError, match="there twice: 'a'"):
        read_sentences(written(tmp_path, '{"a": ["x"], "a": ["y"], "b": ["z"]}'), ['a', 'b'])


def test_many_names_are_counted(tmp_path):
    classes = [f'class {i}' for i in range(20)]
    with pytest.raises(ValueError, match="'class 4' and 15 more"):
        read_sentences(written(tmp_path, '{}'), classes)


@pytest.mark.parametrize(
    'text, message',
    [
        ('[]', 'sentence: Input should be a valid dictionary'),
        ('{"a": "one sentence"}', 'a: Input should be a valid list'),
        ('{"a": [3]}', 'a 0: Input should be a valid string'),
        (json.dumps({'a': ['x' * 1001]}), 'at most 1000 characters'),
        (json.dumps({'a': ['x'] * 1001}), 'at most 1000 items'),
        ('{"a": ', 'Expecting value'),
        ('[' * 100_000, 'recursion'),
    ],
)
def test_other_forms_are_refused_with_the_place(tmp_path, text, message):
    with pytest.raises(ValueError, match='must be {"class": .*' + message):
        read_sentences(written(tmp_path, text), ['a'])


@pytest.mark.parametrize(
    'text, message',
    [
        ('name,text\na,b\n', 'first line is not class,sentence'),
        ('', 'first line is not class,sentence'),
        ('class,sentence\na,b, and c\n', 'entry 2 has 3 fields; a sentence with commas'),
    ],
)
def test_another_csv_is_refused(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read_sentences(written(tmp_path, text, 'x.csv'), ['a'])


def test_what_is_no_text_file_is_refused(tmp_path):
    (tmp_path / 'x.json').write_bytes(b'\xff\xfe')
    with pytest.raises(ValueError, match='utf-8'):
        read_sentences(str(tmp_path / 'x.json'), ['a'])
    with pytest.raises(FileNotFoundError, match="The descriptions '.*none.json' do not exist"):
        read_sentences(str(tmp_path / 'none.json'), ['a'])

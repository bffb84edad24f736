"""From photos to a classifier in one call, on the built-in CLIP and a handful of digits."""

import json
import os
import os.path as osp
import shutil

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

import mmdpt
from mmdpt.cli.train import main as train
from mmdpt.engine import read_checkpoint
from mmdpt.engine.entry import read_entry
from mmdpt.evaluation.predictions import Predictions
from mmdpt.fitting.hub_data import export, is_hub_data
from mmdpt.fitting.photos import read_photos
from mmdpt.results.fit_schema import read_fit

NAMES = ('zero', 'one', 'two')
TINY = dict(arch='mmdpt-tiny', templates=['a photo of the digit {}.'], quiet=True)


def draw(folder, count: int, names=NAMES) -> str:
    """A folder of photos, so many per class."""
    digits = load_digits()
    for label, name in enumerate(names):
        place = folder / name
        place.mkdir(parents=True)
        for i, image in enumerate(digits.images[digits.target == label][:count]):
            Image.fromarray((255 - 15 * image).astype(np.uint8)).save(place / f'{i}.png')
    return str(folder)


@pytest.fixture(scope='module')
def fitted(tmp_path_factory):
    """A fit, its folder, the photos, and the config that it wrote."""
    place = tmp_path_factory.mktemp('fit')
    photos, out, config = draw(place / 'photos', 10), str(place / 'out'), str(place / 'mine.py')
    found = mmdpt.fit(
        photos, out, methods=['gda', 'clip_adapter'], minutes=5, config_file=config, **TINY
    )
    return found, out, photos, config


def test_fit_compares_chooses_and_tests_once(fitted):
    found, out, _, _ = fitted
    assert [tried.name for tried in found.methods] == ['zeroshot', 'gda', 'clip_adapter']
    train, test = found.data.counts()
    assert (train, test, found.data.folds) == (24, 6, 5)
    for tried in found.methods:
        assert tried.left_out is None and len(tried.folds) == 5
        assert tried.result.images == 24
        assert tried.result.low <= tried.result.accuracy <= tried.result.high
    assert found.chosen.name in ('gda', 'clip_adapter')
    learnt = Predictions.read(osp.join(out, 'predictions.npz'))
    assert found.test.model.accuracy == pytest.approx(100 * learnt.correct().float().mean().item())
    assert found.test.zero_shot.images == found.test.model.images == 6
    assert found.budget.seconds < 60 * found.budget.minutes
    assert [point.share for point in found.curve.points] == [25, 50, 75, 100]


def test_the_held_out_photos_are_in_no_training(fitted):
    _, out, photos, _ = fitted
    with open(osp.join(out, 'split.json')) as file:
        split = json.load(file)
    train, test = ({item[0] for item in split[part]} for part in ('train', 'test'))
    assert not train & test and len(train | test) == 30
    learnt = Predictions.read(osp.join(out, 'predictions.npz'))
    assert set(learnt.images) == test and all(osp.isfile(osp.join(photos, p)) for p in test)


def test_the_file_says_what_the_call_returned(fitted):
    found, out, _, _ = fitted
    assert read_fit(osp.join(out, 'fit.json')) == found
    frame = found.frame()
    assert list(frame.index[frame.chosen]) == [found.chosen.name]
    assert {'model.pth', 'config.py', 'predictions.npz', 'zero_shot.npz'} <= set(os.listdir(out))


def test_the_config_gives_the_same_model_by_train(fitted, tmp_path):
    _, out, _, config = fitted
    train([config, '--work-dir', str(tmp_path)])
    again = Predictions.read(str(tmp_path / 'predictions.npz'))
    before = Predictions.read(osp.join(out, 'predictions.npz'))
    assert again.images == before.images
    assert (again.logits == before.logits).all()


def test_load_and_predict(fitted):
    found, out, photos, _ = fitted
    model = mmdpt.load(out)
    learnt = Predictions.read(osp.join(out, 'predictions.npz'))
    answers = model.predict([osp.join(photos, image) for image in learnt.images])
    guessed = [learnt.classes[i] for i in learnt.logits.argmax(1)]
    assert [answer.name for answer in answers] == guessed
    assert model.fit == found and model.classes == [c.name for c in found.data.classes]
    assert model.inferencer.calibration.images == 24  # of all folds
    assert [a.rejected for a in answers] == [
        a.probability < model.inferencer.calibration.threshold for a in answers
    ]
    assert sum(answers[0].probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert list(answers.frame().columns[:3]) == ['image', 'name', 'probability']
    with pytest.raises(FileNotFoundError, match='no model at'):
        mmdpt.load(photos)


def test_a_second_model_learns_from_the_held_out_photos_too(tmp_path):
    photos, out = draw(tmp_path / 'photos', 6), str(tmp_path / 'out')
    found = mmdpt.fit(photos, out, methods=['clip_adapter'], refit_all=True, minutes=5, **TINY)
    learnt = Predictions.read(osp.join(out, 'predictions.npz'))
    assert found.test.model.images == len(learnt.images) > 0
    model, both = (mmdpt.load(osp.join(out, name)) for name in ('model.pth', 'model_all.pth'))
    images = [osp.join(photos, image) for image in learnt.images]
    answers = [[a.probability for a in one.predict(images)] for one in (model, both)]
    assert [a.name for a in model.predict(images)] == [
        learnt.classes[i] for i in learnt.logits.argmax(1)
    ]
    assert answers[0] != answers[1]  # it has learnt from them
    assert both.inferencer.calibration == model.inferencer.calibration
    meta = read_checkpoint(osp.join(out, 'model_all.pth'))['meta']
    hashes = {
        read_entry(m)['draw_hash'] for m in (meta, read_checkpoint(f'{out}/model.pth')['meta'])
    }
    assert len(hashes) == 2
    assert not [name for name in os.listdir(out) if name.startswith('tmp')]


def test_zero_shot_can_be_the_model(tmp_path):
    photos = draw(tmp_path / 'photos', 6)
    out = str(tmp_path / 'out')
    found = mmdpt.fit(photos, out, methods=['zeroshot'], minutes=5, **TINY)
    assert found.chosen.name == 'zeroshot' and 'learnt nothing' in found.test.warning
    assert found.test.difference == 0
    learnt = Predictions.read(osp.join(out, 'predictions.npz'))
    answers = mmdpt.load(out).predict([osp.join(photos, image) for image in learnt.images])
    assert [a.name for a in answers] == [learnt.classes[i] for i in learnt.logits.argmax(1)]


def test_two_photos_per_class_are_cross_validated_only(tmp_path):
    photos, out = draw(tmp_path / 'photos', 2), str(tmp_path / 'out')
    found = mmdpt.fit(photos, out, methods=['clip_adapter'], minutes=5, **TINY)
    assert found.data.held_out == 'none' and found.test is None and found.data.folds == 2
    assert any('flatters it' in text for text in found.data.warnings)
    folds = Predictions.read(osp.join(out, 'predictions.npz'))
    assert len(folds.images) == 6
    assert folds.identity['data']['split'] == 'cross-validation'


def test_a_method_that_does_not_suit_the_photos_is_left_out_or_refused(tmp_path, monkeypatch):
    photos = draw(tmp_path / 'photos', 2)
    with pytest.raises(ValueError, match='GDA needs differences within a class'):
        mmdpt.fit(photos, str(tmp_path / 'out'), methods=['gda'], minutes=5, **TINY)
    monkeypatch.setattr('mmdpt.fitting.api.known', lambda names: ['zeroshot', 'gda'])
    found = mmdpt.fit(photos, str(tmp_path / 'out2'), minutes=5, **TINY)
    assert 'GDA needs' in found.methods[1].left_out and found.chosen.name == 'zeroshot'


def test_a_single_photo_per_class_is_learnt_without_a_comparison(tmp_path):
    photos, out = draw(tmp_path / 'photos', 1), str(tmp_path / 'out')
    found = mmdpt.fit(photos, out, minutes=5, **TINY)
    assert found.chosen.name == 'clap' and 'nothing could be compared' in found.chosen.why
    assert found.test is None and not osp.exists(osp.join(out, 'predictions.npz'))
    assert len(mmdpt.load(out).predict(photos)) == 3


def test_what_does_not_fit_into_the_time_is_named(tmp_path):
    photos = draw(tmp_path / 'photos', 4)
    with pytest.raises(
        ValueError, match='no method fits into the time: GDA: needs about .*--minutes'
    ):
        mmdpt.fit(photos, str(tmp_path / 'out'), methods=['gda'], minutes=0.001, **TINY)


def test_a_given_test_part_is_used_as_such(tmp_path):
    photos = draw(tmp_path / 'all', 6)
    lines = ['path,label,split']
    for name in NAMES:
        for i in range(6):
            lines.append(
                f'{name}/{i}.png,{name},{"test" if i < 2 else "val" if i < 3 else "train"}'
            )
    (tmp_path / 'all' / 'photos.csv').write_text('\n'.join(lines))
    found = read_photos(osp.join(photos, 'photos.csv'))
    assert found.held_out == 'given' and found.warnings == ()
    assert {item.path for item in found.test} == {f'{n}/{i}.png' for n in NAMES for i in (0, 1)}
    assert len(found.train) == 12  # validation photos are learnt from
    few = read_photos(osp.join(photos, 'photos.csv'), shots=2)
    assert len(few.train) == 6 and few.test == found.test


def test_copies_count_once(tmp_path):
    photos = draw(tmp_path / 'photos', 6)
    shutil.copy(osp.join(photos, 'one', '0.png'), osp.join(photos, 'one', 'copy.png'))
    found = read_photos(photos)
    assert len(found.train) + len(found.test) == 18
    assert any('1 photos are copies' in text for text in found.warnings)


def test_wrong_photos_are_refused_before_anything(tmp_path):
    photos = draw(tmp_path / 'photos', 6)
    shutil.copy(osp.join(photos, 'one', '0.png'), osp.join(photos, 'two', 'copy.png'))
    with pytest.raises(ValueError, match='more than one class'):
        mmdpt.fit(photos, str(tmp_path / 'out'), **TINY)
    assert os.listdir(tmp_path / 'out') == []  # a second try finds it as the first one did
    with pytest.raises(FileNotFoundError, match='does not exist.*PHOTOS may be') as error:
        mmdpt.fit(str(tmp_path / 'none'), str(tmp_path / 'out2'), **TINY)
    assert 'cfg-options' not in str(error.value)  # which fit does not have


def test_a_folder_with_something_in_it_is_kept(tmp_path):
    photos = draw(tmp_path / 'photos', 3)
    with pytest.raises(FileExistsError, match='not empty'):
        mmdpt.fit(photos, photos, **TINY)
    with pytest.raises(ValueError, match="no method 'magic'"):
        mmdpt.fit(photos, str(tmp_path / 'out'), methods=['magic'], **TINY)
    assert not osp.exists(tmp_path / 'out')


def test_data_of_the_hub_become_photos(tmp_path):
    datasets = pytest.importorskip('datasets')
    digits, names = load_digits(), datasets.ClassLabel(names=list(NAMES))
    kept = [i for i in range(60) if digits.target[i] < 3]

    def part(indices):
        image = [Image.fromarray((15 * digits.images[i]).astype(np.uint8)) for i in indices]
        rows = dict(image=image, label=[int(digits.target[i]) for i in indices])
        features = datasets.Features(image=datasets.Image(), label=names)
        return datasets.Dataset.from_dict(rows, features)

    whole = datasets.DatasetDict(train=part(kept[:-6]), test=part(kept[-6:]))
    whole.save_to_disk(str(tmp_path / 'hub'))
    assert is_hub_data(str(tmp_path / 'hub')) and not is_hub_data(str(tmp_path))
    found = read_photos(export(str(tmp_path / 'hub'), str(tmp_path / 'photos')))
    assert found.classes == tuple(sorted(NAMES)) and found.held_out == 'given'
    assert len(found.test) == 6 and len(found.train) == len(kept) - 6


def test_data_of_the_hub_need_a_package(tmp_path, monkeypatch):
    import sys

    (tmp_path / 'state.json').write_text('{}')
    monkeypatch.setitem(sys.modules, 'datasets', None)
    with pytest.raises(ImportError, match=r"pip install 'mmdpt\[hf\]'"):
        mmdpt.fit(str(tmp_path), str(tmp_path / 'out'), **TINY)

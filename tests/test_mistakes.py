"""Mistakes people make: each ends with one line that names it and the remedy, and status 1."""

import sys
import time
from pathlib import Path

import open_clip
import pytest
import torch
from helpers.trees import write_photos

from mmdpt import cli
from mmdpt.cli import train as train_command
from mmdpt.engine.cli import friendly_errors

GDA = 'gda_tiny_custom'
OWN = 'dataset.data_root='


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Seven photos of each of three classes, in a folder that holds nothing else."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, 'argv', sys.argv)
    write_photos(tmp_path / 'photos', ('n01', 'glass', 'tea cup'), 7)


def mistake(capsys, *arguments):
    """The line that a command ends with."""
    capsys.readouterr()
    start = time.perf_counter()
    with pytest.raises(SystemExit) as end:
        cli.main(list(arguments))
    assert time.perf_counter() - start < 10  # a second, on a machine of one's own
    shown = capsys.readouterr().err.strip().splitlines()
    (line,) = [text for text in shown if text.startswith('error: ')]
    assert end.value.code == 1 and 'Traceback' not in '\n'.join(shown)
    assert not list(Path().rglob('*.pth'))
    return line


@pytest.mark.parametrize(
    'typed, words',
    [
        ('photos', 'photos is a folder|mmdpt fit photos|dataset.data_root=photos'),
        (f'{GDA} photos', "'photos' is too much|dataset.data_root=photos"),
        ('DPT', 'DPT is a method|dpt_vitb16_custom|dpt_tiny_digits_16shot'),
        ('linear-probe', 'is a method|linear_probe_vitb16_custom'),
        ('dpt_vitb16_costum', 'did you mean dpt_vitb16_custom'),
        ('Coop_ViTB16_custom', 'did you mean coop_vitb16_custom'),
        (f'{GDA} --shots 4', 'no --shots|--cfg-options train_dataloader.dataset.shots=4'),
        (f'{GDA} --epochs=5', '--cfg-options train_cfg.max_epochs=5'),
        (f'{GDA} --data-root photos', '--cfg-options dataset.data_root=photos'),
        (f'{GDA} --device cuda', 'CUDA_VISIBLE_DEVICES=1'),
        (f'{GDA} --output-dir run', '--work-dir'),
        (f'{GDA} --vebose', 'did you mean --verbose'),
        (GDA, "'data/custom' does not exist|--cfg-options dataset.data_root=FOLDER"),
        (
            f'{GDA} --cfg-options {OWN}photos dataset.templates=a photo of a {{}}.',
            'stands in quotation marks|"dataset.templates=a photo of a {}."',
        ),
        (f'{GDA} --cfg-options {OWN[:-1]} = photos', f'none are around "="|"{OWN}photos"'),
        (f'{GDA} --cfg-options epochs=3', 'did you mean train_cfg.max_epochs'),
        (f'{GDA} --cfg-options data_root=photos', 'did you mean dataset.data_root'),
        (f'{GDA} --cfg-options {OWN}photos dataset.templates=a_mug', 'words with one {}'),
        (
            f'{GDA} --cfg-options {OWN}photos dataset.rename.glas=tumbler',
            "the class 'glas'|nearest: 'glass'",
        ),
    ],
)
def test_typed(photos, capsys, typed, words):
    line = mistake(capsys, 'train', *typed.split(' '))
    assert all(word in line for word in words.split('|'))


def test_wrong_folder(photos, capsys):
    Path('all').mkdir()
    Path('photos').rename('all/photos')
    line = mistake(capsys, 'train', GDA, '--cfg-options', f'{OWN}all')
    assert 'It has folders' in line and 'give this folder instead' in line
    assert 'dataset.data_root=all/photos' in line


def test_photos_of_an_iphone(photos, capsys):
    for photo in Path('photos/n01').iterdir():
        photo.rename(photo.with_suffix('.HEIC'))
    line = mistake(capsys, 'train', GDA, '--cfg-options', f'{OWN}photos')
    assert '7 files end in .heic' in line and 'convert them to JPEG' in line


def test_class_with_one_photo(photos, capsys):
    write_photos(Path('photos'), ('lamp',), 1)
    line = mistake(capsys, 'train', GDA, '--cfg-options', f'{OWN}photos')
    assert "'lamp' has 1 image(s)" in line and 'Add images' in line


def test_weights_without_network(photos, capsys, monkeypatch):
    def offline(*args, **kwargs):
        raise OSError('Name or service not known')

    monkeypatch.setattr(open_clip.pretrained, 'download_pretrained', offline)
    line = mistake(capsys, 'train', 'gda_vitb16_custom', '--cfg-options', f'{OWN}photos')
    assert 'ViT-B-16-quickgelu' in line and 'model.pretrained' in line


def test_folder_as_checkpoint(photos, capsys):
    line = mistake(capsys, 'predict', 'photos', 'photos/glass')
    assert 'photos is a folder, and a checkpoint is a file' in line


def test_too_little_memory(capsys):
    """Torch's own error, of more than any machine has."""
    with pytest.raises(SystemExit) as end, friendly_errors():
        torch.empty(10**16)
    line = capsys.readouterr().err
    assert end.value.code == 1
    assert line.startswith('error: out of memory') and 'train_dataloader.batch_size=8' in line


def test_nothing_heavy_before(photos, monkeypatch, capsys):
    """What the command line has too much is told before the command is imported."""
    monkeypatch.setattr(train_command, 'main', lambda argv: pytest.fail('it started'))
    assert 'no --shots' in mistake(capsys, 'train', GDA, '--shots', '4')

"""What is given by name goes through the same door everywhere, and is read once."""

import shutil
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.checkpoints import NAMES, TINY, saved
from helpers.short_runs import short_config, train
from helpers.tools import refused, tool
from mmpretrain.registry import MODELS
from PIL import Image

from mmdpt.datasets import looks, transforms
from mmdpt.engine import CheckpointError, image_digest, rank_check
from mmdpt.tiny_clip import WEIGHTS


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.arange(1200, dtype=np.uint8).reshape(20, 20, 3)).save('a.png')


class Evil:
    def __reduce__(self):
        return open, ('ran', 'w')


def learner(checkpoint):
    """A student of the built-in CLIP with four trained words as its teacher."""
    teacher = dict(TINY, text_prompt=dict(type='CoOp', num_tokens=4))
    del teacher['type'], teacher['templates']
    given = dict(model=teacher, checkpoint=str(checkpoint))
    student = dict(head=dict(type='PromptKDHead', size=128), visual_prompt=dict(type='VPT'))
    return MODELS.build(dict(TINY, classes=NAMES, teacher=given, **student))


def test_a_teacher_from_a_file_and_from_a_folder():
    wanted = saved('coop').state_dict()
    tool('publish', 'method.pth', 'shared')
    for place in ('method.pth', 'shared'):
        (teacher,) = learner(place)._teacher
        found = teacher.model.state_dict()
        assert all(torch.equal(found[name], tensor) for name, tensor in wanted.items())


CHANGES = {
    'code': lambda c: c.update(x=Evil()),
    'NaN': lambda c: c['state_dict']['text_prompt.context'].fill_(float('nan')),
    'beyond 1e+06': lambda c: c['state_dict']['text_prompt.context'].fill_(1e30),
    'larger than what the file holds': lambda c: c['state_dict'].update(
        {'text_prompt.context': torch.zeros(1).expand(10**12)}
    ),
    'is not what training writes': lambda c: setattr(
        c['state_dict'], '_metadata', OrderedDict({'': dict(mmdpt=dict(classes=5))})
    ),
    'run as Python': lambda c: c['meta'].update(config='open("ran", "w")'),
}


@pytest.mark.parametrize('words', CHANGES)
def test_a_teacher_is_a_checkpoint_like_any_other(words):
    saved('coop')
    checkpoint = torch.load('method.pth', weights_only=True)
    CHANGES[words](checkpoint)
    torch.save(checkpoint, 'evil.pth')
    with pytest.raises(CheckpointError, match=words.replace('+', r'\+')) as caught:
        learner('evil.pth')
    assert 'evil.pth' in str(caught.value) and not Path('ran').exists()
    Path('torn.pth').write_bytes(Path('method.pth').read_bytes()[:-50])
    with pytest.raises(CheckpointError, match='torn.pth is damaged'):
        learner('torn.pth')
    with pytest.raises(FileNotFoundError, match='nowhere.pth'):
        learner('nowhere.pth')


COMMANDS = dict(
    predict=('a.png',),
    export=('--format', 'torch', '--out', 'out/'),
    nearest_words=(),
    visualize_attention=('a.png', '--out', 'out/'),
)


@pytest.mark.parametrize('name', COMMANDS)
def test_weights_on_the_command_line(name, capsys):
    """A checkpoint that was trained on a file: its place there is never opened."""
    shutil.copy(WEIGHTS, 'weights.safetensors')
    saved('dpt', pretrained='weights.safetensors')
    assert '--pretrained FILE' in refused(capsys, name, 'method.pth', *COMMANDS[name])
    tool(name, 'method.pth', *COMMANDS[name], '--pretrained', 'weights.safetensors')
    shutil.copy('weights.safetensors', 'there.json')
    if name != 'visualize_attention':
        line = refused(
            capsys,
            *(name, 'method.pth', *COMMANDS[name], '--overwrite'),
            *('--pretrained', 'there.json', '--json', 'there.json'),
        )
        assert 'there.json is read by this command' in line


def test_zero_shot_exports_take_weights(tmp_path):
    from helpers.short_runs import leaf

    from mmdpt.export import load_for_export

    with pytest.raises(FileNotFoundError, match='nowhere.pt'):
        load_for_export(None, leaf('zeroshot'), 'nowhere.pt')
    assert load_for_export(None, leaf('zeroshot'), WEIGHTS).model.clip_identity['fingerprint']


def test_training_images_are_read_once(tmp_path, monkeypatch):
    """Of a distributed training, which compares them and notes them."""
    asked = []
    whole = image_digest.image_digests
    monkeypatch.setattr(
        image_digest, 'image_digests', lambda *a, **k: asked.append(a) or whole(*a, **k)
    )
    monkeypatch.setattr(rank_check, 'get_world_size', lambda: 2)
    monkeypatch.setattr(rank_check, 'all_gather_object', lambda mine: [mine, mine])
    facts = []
    monkeypatch.setattr(rank_check, 'check_processes', facts.append)
    cfg = short_config('coop', tmp_path / 'run', epochs=1)
    cfg.default_hooks.same_training = dict(type='SameTrainingHook')
    with monkeypatch.context() as patch:  # one process cannot be joined with another
        patch.setattr('mmdpt.engine.runner.get_world_size', lambda: 1)
        train(cfg)
    assert len(asked) == 1
    kept = torch.load('run/epoch_1.pth', weights_only=True)['meta']['mmdpt']['settings']
    assert facts[0]['train images.contents'] == kept['images.contents'] is not None


def test_a_picture_is_decoded_once(monkeypatch):
    """By check_dataset --deep, which wants its pixels and its transparent parts."""
    Image.fromarray(np.zeros((30, 30, 4), np.uint8)).save('clear.png')
    decoded, png = [], Image.core.zip_decoder
    monkeypatch.setattr(Image.core, 'zip_decoder', lambda *a: decoded.append(a) or png(*a))
    for name, parts in (('clear.png', True), ('a.png', False)):
        decoded.clear()
        look = looks.look_at(name, deep=True)
        assert (look.bad, look.clear, len(decoded)) == ('', parts, 1)
        assert looks.look_at(name, deep=False).clear is parts and len(decoded) == 1
    pixels, found = transforms.read_picture('clear.png')
    assert found and (pixels == 255).all()

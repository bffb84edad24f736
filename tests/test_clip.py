import json

import pytest
import torch
from helpers.clip_files import save
from helpers.plain import small_clip

from mmdpt.models.clip.config import read_config
from mmdpt.models.clip.load import load_clip
from mmdpt.models.clip.weights import weights_fingerprint


@pytest.fixture(scope='module')
def clip():
    torch.manual_seed(0)
    return load_clip(small_clip(), None)


@pytest.fixture
def weights(clip):
    return {k: v.clone() for k, v in clip.model.state_dict().items()}


@pytest.mark.filterwarnings('ignore::DeprecationWarning')
@pytest.mark.parametrize('form', ['safetensors', 'archive.pt', 'bare.pt', 'nested.pt'])
def test_every_form_gives_the_same_model(clip, weights, form, tmp_path):
    # Values that half precision can hold, as OpenAI's are.
    weights = {k: v.half().float() for k, v in weights.items()}
    loaded = load_clip(small_clip(), save(weights, form, tmp_path))
    for name, value in loaded.model.state_dict().items():
        torch.testing.assert_close(value, weights[name], rtol=0, atol=0)
    assert loaded.identity == dict(
        arch='custom', pretrained=f'weights.{form}', fingerprint=weights_fingerprint(weights)
    )
    assert loaded.logit_scale.item() == pytest.approx(1 / 0.07, rel=1e-3)


def test_frozen_and_in_evaluation(clip):
    assert not any(p.requires_grad for p in clip.model.parameters())
    assert not clip.model.training


@pytest.mark.parametrize(
    'precision, dtype', [('fp64', torch.float64), ('bf16', torch.bfloat16), ('fp16', torch.float16)]
)
def test_precision(weights, precision, dtype, tmp_path):
    path = save(weights, 'safetensors', tmp_path)
    loaded = load_clip(small_clip(), path, precision)
    assert {p.dtype for p in loaded.model.parameters()} == {dtype}
    assert loaded.logit_scale.dtype == max(dtype, torch.float32, key=lambda d: d.itemsize)
    assert loaded.identity['fingerprint'] == load_clip(small_clip(), path).identity['fingerprint']


def test_fingerprint_knows_each_value(weights):
    before = weights_fingerprint(weights)
    weights['visual.conv1.weight'][0, 0, 0, 0] += 0.01
    assert weights_fingerprint(weights) != before


def test_random_weights_are_logged(caplog):
    import logging

    from mmengine.logging import MMLogger

    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    try:
        with caplog.at_level(logging.WARNING):
            load_clip(small_clip(), None)
    finally:
        logger.removeHandler(caplog.handler)
    assert 'RANDOM weights (pretrained=None' in caplog.text


def test_json_config(tmp_path):
    path = tmp_path / 'my_clip.json'
    path.write_text(json.dumps(dict(model_cfg=small_clip())))
    name, config = read_config(str(path))
    assert name == 'my_clip' and config['embed_dim'] == 32


def test_vocabulary_beside_the_json(tmp_path):
    config = small_clip(tokenizer_kwargs=dict(bpe_path='bpe.txt.gz'))
    (tmp_path / 'a.json').write_text(json.dumps(config))
    _, config = read_config(tmp_path / 'a.json')
    assert config['text_cfg']['tokenizer_kwargs']['bpe_path'] == str(tmp_path / 'bpe.txt.gz')


@pytest.mark.parametrize(
    'arch, error, message',
    [
        ('ViT-B-61', ValueError, 'not an architecture .* nearest: .*ViT-B-16'),
        ('no/such.json', FileNotFoundError, 'no/such.json.* does not exist'),
        (dict(embed_dim=3), ValueError, 'lacks text_cfg, vision_cfg'),
        (17, TypeError, 'must be a name, a JSON file or a dict'),
        (dict(small_clip(), colour='red'), ValueError, 'colour'),
        ('coca_ViT-B-32', ValueError, 'not supported'),
        ('RN50-nonsense', ValueError, 'RN50'),
    ],
)
def test_bad_arch(arch, error, message):
    with pytest.raises(error, match=message):
        load_clip(arch, None)


def test_bad_json(tmp_path):
    path = tmp_path / 'broken.json'
    path.write_text('{')
    with pytest.raises(ValueError, match='broken.json is not valid JSON'):
        load_clip(str(path), None)


@pytest.mark.parametrize(
    'pretrained, error, message',
    [
        ('no/such/file.pt', FileNotFoundError, 'neither a file nor a tag'),
        ('opnai', ValueError, 'neither a file nor a tag.* Tags: openai'),
        (3, TypeError, 'must be an open_clip tag, a file or None'),
    ],
)
def test_bad_pretrained(pretrained, error, message):
    with pytest.raises(error, match=message):
        load_clip('ViT-B-16-quickgelu', pretrained)


def test_bad_precision():
    with pytest.raises(ValueError, match="precision='fp8' is unknown"):
        load_clip(small_clip(), None, 'fp8')


def test_wrong_activation_of_a_tag():
    with pytest.raises(
        ValueError, match="was trained with QuickGELU.* Use arch='ViT-B-16-quickgelu'"
    ):
        load_clip('ViT-B-16', 'openai')
    with pytest.raises(ValueError, match='laion'):
        load_clip('ViT-B-16-quickgelu', 'laion2b_s34b_b88k')


@pytest.mark.filterwarnings('ignore::DeprecationWarning')
def test_wrong_activation_of_an_openai_file(weights, tmp_path):
    config = dict(small_clip(), quick_gelu=False)
    with pytest.raises(ValueError, match='was trained with QuickGELU'):
        load_clip(config, save(weights, 'archive.pt', tmp_path))
    # Its state dict, saved anew, still says where it comes from.
    weights['input_resolution'] = torch.tensor(32)
    with pytest.raises(ValueError, match='was trained with QuickGELU'):
        load_clip(config, save(weights, 'bare.pt', tmp_path))


def test_no_network_for_a_tag(monkeypatch):
    import open_clip.pretrained as zoo

    def offline(*args, **kwargs):
        raise OSError('Network is unreachable')

    monkeypatch.setattr('mmdpt.models.clip.weights.is_online', lambda: True)
    monkeypatch.setattr(zoo, 'download_pretrained', offline)
    with pytest.raises(
        ConnectionError,
        match='ViT-B-16-quickgelu, tag '
        "'openai', cannot be downloaded .*Network is "
        'unreachable.*set model.pretrained to the file',
    ):
        load_clip('ViT-B-16-quickgelu', 'openai')


def test_file_of_another_architecture(weights, tmp_path):
    path = save(weights, 'safetensors', tmp_path)
    with pytest.raises(
        ValueError,
        match='weights.safetensors does not hold '
        r'the weights of custom: .*\(77, 64\) in the file, '
        r'\(77, 128\) in custom',
    ):
        load_clip(small_clip(width=128), path)
    with pytest.raises(ValueError, match='tensors missing .*Set model.arch'):
        load_clip(small_clip(layers=4), path)
    with pytest.raises(ValueError, match='unexpected'):
        load_clip(small_clip(layers=2), path)


class Hostile:
    def __reduce__(self):
        return print, ('code ran',)


def test_damaged_and_hostile_files(tmp_path, capsys):
    path = tmp_path / 'evil.pt'
    torch.save(dict(state_dict=Hostile()), path)
    with pytest.raises(ValueError, match='evil.pt cannot be read as CLIP'):
        load_clip(small_clip(), str(path))
    assert 'code ran' not in capsys.readouterr().out
    for name in ('short.pt', 'short.safetensors'):
        (tmp_path / name).write_bytes(b'PK\x03\x04 nothing')
        with pytest.raises(ValueError, match=f'{name} cannot be read'):
            load_clip(small_clip(), str(tmp_path / name))
    torch.save(torch.zeros(3), tmp_path / 'tensor.pt')
    with pytest.raises(ValueError, match='tensor.pt holds no state dict'):
        load_clip(small_clip(), str(tmp_path / 'tensor.pt'))

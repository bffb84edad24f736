"""CLIP in the layout of Hugging Face's transformers, and in the hub's cache."""

import json
import time

import pytest
import torch
from helpers.clip_files import save
from helpers.plain import small_clip
from safetensors.torch import load_file, save_file

from mmdpt.models.clip import places
from mmdpt.models.clip.hf_folder import convert
from mmdpt.models.clip.load import load_clip
from mmdpt.models.clip.weights import find_weights

transformers = pytest.importorskip('transformers')
TEXTS = ['a cat', 'a photo of an Egyptian Mau, a kind of pet.']


@pytest.fixture(scope='module')
def hf_model():
    """transformers' model of the architecture small_clip(), with random weights."""
    torch.manual_seed(0)
    tower = dict(hidden_size=64, intermediate_size=256, num_hidden_layers=3, num_attention_heads=2)
    config = transformers.CLIPConfig(
        text_config=dict(tower, vocab_size=49408, eos_token_id=49407),
        vision_config=dict(tower, image_size=32, patch_size=8),
        projection_dim=32,
    )
    model = transformers.CLIPModel(config).eval()
    with torch.no_grad():  # transformers begins with zeros, ones and tiny values
        for value in model.parameters():
            value.add_(0.05 * torch.randn_like(value))
    return model


@pytest.fixture
def folder(hf_model, tmp_path):
    hf_model.save_pretrained(tmp_path / 'clip', safe_serialization=True)
    return tmp_path / 'clip'


def rewrite(folder, **text):
    """Change config.json; keys of the text tower begin with text_, of the other with vision_."""
    config = json.loads((folder / 'config.json').read_text())
    for key, value in text.items():
        tower, _, name = key.partition('_')
        if tower in ('text', 'vision'):
            config[f'{tower}_config'][name] = value
        else:
            config[key] = value
    (folder / 'config.json').write_text(json.dumps(config))


def features(clip, images):
    tokens = clip.tokenizer(TEXTS)
    with torch.no_grad():
        return clip.model.encode_image(images), clip.model.encode_text(tokens), tokens


@pytest.mark.parametrize('precision, tolerance', [('fp32', 1e-5), ('fp64', 1e-10)])
def test_outputs_are_those_of_transformers(hf_model, folder, precision, tolerance):
    clip = load_clip(small_clip(), str(folder), precision)
    dtype = next(clip.model.parameters()).dtype
    images = torch.randn(3, 3, 32, 32, dtype=dtype)
    image, text, tokens = features(clip, images)
    theirs = transformers.CLIPModel.from_pretrained(folder, dtype=dtype).eval()
    with torch.no_grad():
        out = theirs(input_ids=tokens, pixel_values=images)
    for ours, wanted in ((image, out.image_embeds), (text, out.text_embeds)):
        ours = ours / ours.norm(dim=-1, keepdim=True)
        torch.testing.assert_close(ours, wanted, rtol=0, atol=tolerance)
    assert image.std() > 0.05 and (text[0] - text[1]).abs().max() > 1e-3
    wanted = theirs.logit_scale.exp().item()
    assert clip.logit_scale.item() == pytest.approx(wanted, rel=tolerance)
    assert clip.identity['pretrained'] == 'clip'


def test_shards_and_pickles_hold_the_same(hf_model, folder, tmp_path):
    wanted = load_clip(small_clip(), str(folder)).identity['fingerprint']
    hf_model.save_pretrained(tmp_path / 'shards', max_shard_size='2MB')
    assert len(list((tmp_path / 'shards').glob('model-*.safetensors'))) > 1
    tensors = load_file(folder / 'model.safetensors')
    (tmp_path / 'old').mkdir()
    # older files hold position_ids, too
    ids = {'text_model.embeddings.position_ids': torch.arange(77)[None]}
    torch.save(tensors | ids, tmp_path / 'old' / 'pytorch_model.bin')
    (folder / 'config.json').rename(tmp_path / 'old' / 'config.json')
    for name in ('shards', 'old'):
        found = load_clip(small_clip(), str(tmp_path / name)).identity['fingerprint']
        assert found == wanted, name


def test_a_second_statement_of_the_towers_counts(folder):
    """As in the folders of 2022: text_config_dict, with transformers' defaults."""
    rewrite(folder, text_hidden_act='gelu', vision_hidden_act='gelu')
    tower = dict(hidden_size=64, intermediate_size=256, num_hidden_layers=3, num_attention_heads=2)
    config = json.loads((folder / 'config.json').read_text())
    config |= dict(
        text_config_dict=dict(tower, vocab_size=49408),
        vision_config_dict=dict(tower, image_size=32, patch_size=8),
    )
    (folder / 'config.json').write_text(json.dumps(config))
    load_clip(small_clip(), str(folder))  # quick_gelu again


@pytest.mark.parametrize(
    'change, message',
    [
        (dict(text_hidden_act='gelu', vision_hidden_act='gelu'), 'quick_gelu is False there'),
        (dict(text_hidden_act='gelu'), 'the towers have different activations'),
        (dict(vision_hidden_act='gelu_new'), "vision_config.hidden_act is 'gelu_new'"),
        (dict(vision_image_size=64), 'image tower: image_size is 64 there and 32 in custom'),
        (dict(vision_patch_size=16), 'image tower: patch_size is 16 there and 8 in custom'),
        (dict(text_num_attention_heads=4), 'text tower: heads is 4 there and 2 in custom'),
        (dict(vision_layer_norm_eps=1e-6), 'norm_eps is 1e-06 there'),
        (dict(text_eos_token_id=5), 'eos_token_id is 5'),
        (dict(model_type='siglip'), "of a model of type 'siglip'"),
        (dict(projection_dim='many'), 'no config of a CLIPModel: projection_dim'),
        (dict(text_hidden_size=-4), 'no config of a CLIPModel: hidden_size'),
    ],
)
def test_another_model_is_refused(folder, change, message):
    rewrite(folder, **change)
    with pytest.raises(ValueError, match=message):
        load_clip(small_clip(), str(folder))


def test_architecture_that_fits_is_named(folder):
    rewrite(
        folder,
        **{f'text_{k}': v for k, v in dict(hidden_size=512, intermediate_size=2048).items()},
        text_num_hidden_layers=12,
        text_num_attention_heads=8,
        projection_dim=512,
        vision_hidden_size=768,
        vision_intermediate_size=3072,
        vision_num_hidden_layers=12,
        vision_num_attention_heads=12,
        vision_image_size=224,
        vision_patch_size=32,
    )
    with pytest.raises(ValueError, match="patch_size is 32 there.*Use arch='ViT-B-32-quickgelu'"):
        load_clip('ViT-B-16-quickgelu', str(folder))
    with pytest.raises(ValueError, match='timm_model_name.*which no CLIPModel has'):
        load_clip('ViT-B-16-SigLIP', str(folder))


Q = 'text_model.encoder.layers.1.self_attn.q_proj.weight'


@pytest.mark.parametrize(
    'change, message',
    [
        (lambda t: t.pop(Q), 'resblocks.1.attention, weight lacks q_proj'),
        (lambda t: t.update({Q: torch.zeros(64, 32)}), 'has q, k, v of different sizes'),
        (lambda t: t.pop('logit_scale'), r'1 tensors missing \(logit_scale'),
        (lambda t: t.update({'text_projection.weight': torch.zeros(64)}), r'text_projection is \('),
        (lambda t: t.update(extra=torch.zeros(2)), 'extra is no tensor of a CLIPModel'),
        (lambda t: t[Q].fill_(float('nan')), 'NaN or infinite'),
    ],
)
def test_wrong_tensors_are_refused(folder, change, message):
    tensors = load_file(folder / 'model.safetensors')
    change(tensors)
    save_file(tensors, folder / 'model.safetensors')
    with pytest.raises(ValueError, match=message):
        load_clip(small_clip(), str(folder))


@pytest.mark.parametrize(
    'file, message',
    [
        ('../model.safetensors', 'which is not in its folder'),
        ('gone.safetensors', 'names gone.safetensors, which is missing'),
        ('config.json', 'cannot be read as CLIP weights'),
        (7, 'is no index: weight_map.logit_scale'),
    ],
)
def test_wrong_index_is_refused(folder, file, message):
    (folder / 'model.safetensors').unlink()
    index = folder / 'model.safetensors.index.json'
    index.write_text(json.dumps(dict(weight_map=dict(logit_scale=file))))
    with pytest.raises(ValueError, match=message):
        load_clip(small_clip(), str(folder))
    index.write_text('{')
    with pytest.raises(ValueError, match='is no index'):
        load_clip(small_clip(), str(folder))


def test_index_and_file_must_agree(folder):
    (folder / 'model.safetensors').rename(folder / 'part.safetensors')
    index = folder / 'model.safetensors.index.json'
    index.write_text(json.dumps(dict(weight_map=dict(logit_scale='part.safetensors'))))
    with pytest.raises(ValueError, match='do not agree about text_model'):
        load_clip(small_clip(), str(folder))


def test_names_are_all_of_them(hf_model):
    clip = load_clip(small_clip(), None)
    assert set(convert(hf_model.state_dict())) == set(clip.model.state_dict())


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty cache of the hub, and no network."""
    monkeypatch.setattr('huggingface_hub.constants.HF_HUB_CACHE', str(tmp_path / 'hub'))
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.setattr('huggingface_hub.constants.HF_HUB_OFFLINE', True)
    return tmp_path / 'hub'


def put(hub, repository, files, commit='c0ffee', main=True):
    """Files in a cache as huggingface_hub lays it out: links to blobs."""
    cache = hub / f'models--{repository.replace("/", "--")}'
    snapshot = cache / 'snapshots' / commit
    for part in (snapshot, cache / 'blobs', cache / 'refs'):
        part.mkdir(parents=True, exist_ok=True)
    if main:
        (cache / 'refs' / 'main').write_text(commit)
    for name, source in files.items():
        blob = cache / 'blobs' / f'{commit}-{name}'
        blob.write_bytes(source.read_bytes())
        (snapshot / name).symlink_to(blob)
    return snapshot


def test_repository_in_the_cache(hub, folder):
    names = ('config.json', 'model.safetensors')
    put(hub, 'openai/clip-test', {n: folder / n for n in names})
    clip = load_clip(small_clip(), 'openai/clip-test')
    wanted = load_clip(small_clip(), str(folder)).identity['fingerprint']
    assert clip.identity == dict(arch='custom', pretrained='clip-test', fingerprint=wanted)


def test_revision_of_main_comes_first(hub, folder):
    put(hub, 'me/clip', {'config.json': folder / 'config.json'}, 'aaa', main=False)
    names = ('config.json', 'model.safetensors')
    main = put(hub, 'me/clip', {n: folder / n for n in names}, 'zzz')
    put(hub, 'me/clip', {n: folder / n for n in names}, 'bbb', main=False)
    assert find_weights('custom', small_clip(), 'me/clip') == main


def test_open_clips_own_repository_in_the_cache(hub, folder, tmp_path):
    ours = load_clip(small_clip(), str(folder)).model.state_dict()
    path = save(ours, 'safetensors', tmp_path)
    snapshot = put(hub, 'me/clip', {'open_clip_model.safetensors': tmp_path / path.split('/')[-1]})
    assert find_weights('custom', small_clip(), 'me/clip').parent == snapshot
    assert load_clip(small_clip(), 'me/clip').identity['fingerprint']


def test_tag_in_the_cache_needs_no_network(hub, folder):
    """By its own repository, by OpenAI's download, by the same weights of transformers."""
    config = dict(quick_gelu=True)
    path = put(hub, 'openai/clip-vit-base-patch16', {'config.json': folder / 'config.json'})
    (path / 'model.safetensors').symlink_to(folder / 'model.safetensors')
    assert find_weights('ViT-B-16-quickgelu', config, 'openai') == path
    old = hub.parent / '.cache' / 'clip' / 'ViT-B-16.pt'
    old.parent.mkdir(parents=True)
    old.write_bytes(b'x')
    assert find_weights('ViT-B-16-quickgelu', config, 'openai') == old
    source = {'open_clip_model.safetensors': folder / 'model.safetensors'}
    own = put(hub, 'timm/vit_base_patch16_clip_224.openai', source)
    found = find_weights('ViT-B-16-quickgelu', config, 'openai')
    assert found == own / 'open_clip_model.safetensors'


def test_offline_fails_at_once_with_the_paths(hub):
    start = time.monotonic()
    with pytest.raises(ConnectionError) as error:
        find_weights('ViT-B-16-quickgelu', dict(quick_gelu=True), 'openai')
    assert time.monotonic() - start < 5
    for place in (
        hub / 'models--timm--vit_base_patch16_clip_224.openai' / 'snapshots',
        hub.parent / '.cache' / 'clip' / 'ViT-B-16.pt',
        hub / 'models--openai--clip-vit-base-patch16' / 'snapshots',
    ):
        assert str(place) in str(error.value)
    with pytest.raises(FileNotFoundError, match='hf download me/nothing') as missing:
        find_weights('ViT-B-16-quickgelu', dict(quick_gelu=True), 'me/nothing')
    assert str(hub / 'models--me--nothing' / 'snapshots') in str(missing.value)


def test_server_is_asked_once(monkeypatch):
    """No retries: one request, then the answer."""
    asked = []

    class Session:
        def head(self, address, timeout):
            asked.append(timeout)
            raise OSError('Network is unreachable')

    monkeypatch.setattr('huggingface_hub.constants.HF_HUB_OFFLINE', False)
    monkeypatch.setattr('huggingface_hub.utils.get_session', Session)
    assert not places.is_online() and asked == [places.PROBE]


def test_folder_without_weights(tmp_path):
    with pytest.raises(FileNotFoundError, match='open_clip_model.safetensors.*config.json'):
        load_clip(small_clip(), str(tmp_path))

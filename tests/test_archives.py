"""OpenAI's TorchScript archives: ResNets and ViT-L/14, small; config leaves."""

from pathlib import Path

import pytest
import torch
from helpers.clip_files import save
from helpers.matrix import RESNET
from helpers.plain import small_clip
from mmengine.config import Config

from mmdpt.models.clip.config import read_config
from mmdpt.models.clip.load import load_clip
from mmdpt.models.clip.normalisation import check_normalisation, trained_normalisation

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
LARGE = dict(  # the proportions of L/14 at 336
    small_clip(), vision_cfg=dict(image_size=48, patch_size=8, width=96, layers=4, head_width=32)
)
pytestmark = pytest.mark.filterwarnings('ignore::DeprecationWarning', 'ignore::FutureWarning')


def archive(config, folder):
    """A file in OpenAI's form, with moved batch statistics, and its model."""
    torch.manual_seed(0)
    clip = load_clip(config, None)
    with torch.no_grad():
        for name, buffer in clip.model.named_buffers():
            if 'running' in name:
                buffer.copy_(torch.rand_like(buffer) + 0.5)
    weights = {k: v.half() for k, v in clip.model.state_dict().items()}
    path = save(weights, 'archive.pt', folder)
    clip.model.load_state_dict({k: v.float() for k, v in weights.items()})
    return clip.model.eval(), path


@pytest.mark.parametrize('config', [RESNET, LARGE], ids=['resnet', 'large'])
def test_loads(config, tmp_path):
    """Every key, the ResNet's attention pool and statistics included."""
    model, path = archive(config, tmp_path)
    loaded = load_clip(config, path)
    keys = set(torch.jit.load(path).state_dict())
    assert {'input_resolution', 'context_length', 'vocab_size'} < keys
    if config is RESNET:
        assert {
            'visual.attnpool.positional_embedding',
            'visual.attnpool.c_proj.weight',
            'visual.bn1.running_mean',
            'visual.layer1.0.downsample.1.running_var',
        } < keys
    images = torch.randn(2, 3, *[loaded.model.visual.image_size[0] if config is LARGE else 32] * 2)
    texts = loaded.tokenizer(['a cat', 'two dogs'])
    with torch.no_grad():
        assert torch.equal(loaded.model.encode_image(images), model.encode_image(images))
        assert torch.equal(loaded.model.encode_text(texts), model.encode_text(texts))
    assert not loaded.model.training


@pytest.mark.parametrize('arch', ['RN50', 'RN101', 'ViT-L-14', 'ViT-L-14-336'])
def test_activation(arch, tmp_path):
    """OpenAI's weights need the QuickGELU architecture; a tag or a file."""
    _, path = archive(small_clip(), tmp_path)
    for pretrained in ('openai', path):
        with pytest.raises(
            ValueError, match=f"was trained with QuickGELU.* Use arch='{arch}-quickgelu'"
        ):
            load_clip(arch, pretrained)
    name, config = read_config(f'{arch}-quickgelu')
    assert name == f'{arch}-quickgelu' and config['quick_gelu']
    if arch == 'RN50':  # the right activation, another model's weights
        with pytest.raises(ValueError, match='does not hold the weights of RN50-quickgelu'):
            load_clip('RN50-quickgelu', path)


@pytest.mark.parametrize(
    'leaf', ['coop/coop_rn50', 'coop/coop_rn101', 'dpt/dpt_vitl14-336', 'dpt/dpt_vitb16-laion2b']
)
def test_leaves(leaf):
    """Architecture and tag belong together; the pipelines give its size."""
    import open_clip.pretrained as zoo

    cfg = Config.fromfile(CONFIGS / f'{leaf}_eurosat_16shot.py')
    arch, tag = cfg.model.arch, cfg.model.pretrained
    assert tag in zoo.list_pretrained_tags_by_model(arch)
    _, config = read_config(arch)
    assert zoo.get_pretrained_cfg(arch, tag).get('quick_gelu', False) == config.get(
        'quick_gelu', False
    )
    check_normalisation(cfg.data_preprocessor, trained_normalisation(arch, tag), leaf)
    size = config['vision_cfg']['image_size']
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        steps = {s['type']: s for s in loader.dataset.pipeline}
        crop = steps.get('CenterCrop', {}).get('crop_size', size)
        scale = steps.get('ResizeEdge', steps.get('RandomResizedCrop'))
        assert scale['scale'] == crop == size

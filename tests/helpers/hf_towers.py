"""Small towers of the layouts beyond plain CLIP, and a tokenizer for them."""

import json

import torch
from timm.models import register_model
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer

TEXT = dict(context_length=77, vocab_size=49408, width=64, heads=2, layers=3)
EVA = dict(img_size=32, patch_size=8, embed_dim=64, depth=3, num_heads=2, mlp_ratio=8 / 3)
EVA02 = dict(
    EVA,
    qkv_fused=False,
    swiglu_mlp=True,
    scale_mlp=True,
    scale_attn_inner=True,
    use_rot_pos_emb=True,
    ref_feat_shape=(2, 2),
)


def _timm(kind, options, num_classes=0, global_pool='token', **kwargs):
    return kind(**{**options, 'num_classes': num_classes, 'global_pool': global_pool})


@register_model
def mmdpt_test_eva02(pretrained=False, **kwargs):
    return _timm(Eva, EVA02, **kwargs)


@register_model
def mmdpt_test_eva01(pretrained=False, **kwargs):
    return _timm(Eva, EVA, **kwargs)


@register_model
def mmdpt_test_eva02_post(pretrained=False, **kwargs):
    return _timm(Eva, dict(EVA, use_post_norm=True), **kwargs)


@register_model
def mmdpt_test_pe(pretrained=False, **kwargs):
    return _timm(
        Eva,
        dict(
            EVA,
            mlp_ratio=4,
            attn_pool_num_heads=2,
            attn_pool_mlp_ratio=4.0,
            use_rot_pos_emb=True,
            ref_feat_shape=(4, 4),
            rope_grid_offset=1.0,
            rope_grid_indexing='xy',
            use_pre_transformer_norm=True,
            dynamic_img_size=True,
            use_fc_norm=False,
        ),
        **kwargs,
    )


@register_model
def mmdpt_test_siglip(pretrained=False, **kwargs):
    return _timm(
        VisionTransformer,
        dict(img_size=32, patch_size=8, embed_dim=64, depth=3, num_heads=2, class_token=False),
        **kwargs,
    )


def timm_clip(name, pool='token', proj=None, **text):
    """A config with one of the towers above."""
    return dict(
        embed_dim=64 if proj == 'none' else 32,
        custom_text=True,
        vision_cfg=dict(
            timm_model_name=f'mmdpt_test_{name}',
            timm_model_pretrained=False,
            timm_pool=pool,
            timm_proj=proj,
            image_size=32,
        ),
        text_cfg=dict(TEXT, **text),
    )


def siglip(tokenizer, **text):
    """A small SigLIP that reads the tokenizer of a folder."""
    config = timm_clip(
        'siglip',
        'map',
        'none',
        **{
            **dict(
                context_length=48,
                vocab_size=200,
                hf_tokenizer_name=str(tokenizer),
                tokenizer_kwargs=dict(clean='canonicalize'),
                no_causal_mask=True,
                proj_bias=True,
                pool_type='last',
                norm_kwargs=dict(eps=1e-6),
            ),
            **text,
        },
    )
    return dict(config, init_logit_bias=-10)


def mobileclip():
    """Byte pairs and the end of text, but without a causal mask."""
    return timm_clip('siglip', 'map', 'none', no_causal_mask=True)


def clipa(tokenizer):
    """The mean of the patches, no first norm, the last of all text tokens."""
    return dict(
        embed_dim=32,
        vision_cfg=dict(
            image_size=32,
            patch_size=8,
            width=64,
            layers=3,
            head_width=32,
            no_ln_pre=True,
            pool_type='avg',
            final_ln_after_pool=True,
        ),
        text_cfg=dict(
            TEXT,
            context_length=32,
            hf_tokenizer_name=str(tokenizer),
            tokenizer_kwargs=dict(strip_sep_token=True),
            pool_type='last',
            no_causal_mask=True,
        ),
    )


def worldwide(tokenizer):
    """Causal, with a tokenizer that has an end mark only."""
    return dict(
        embed_dim=32,
        vision_cfg=dict(image_size=32, patch_size=8, width=64, layers=3, head_width=32),
        text_cfg=dict(TEXT, hf_tokenizer_name=str(tokenizer), pool_type='eos', eos_id=1),
    )


def write_tokenizer(folder, start=None):
    """A tokenizer of characters, saved as transformers reads it.

    Args:
        folder (Path): Where.
        start (str, optional): A start mark, as BERT's; None: as T5's.
    """
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from tokenizers.processors import TemplateProcessing

    words = ['<unk>', '</s>', '<s>', '<pad>', *(chr(i) for i in range(32, 127))]
    vocab = {word: i for i, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token='<unk>'))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex('.'), 'isolated')
    around = f'{start} $A </s>' if start else '$A </s>'
    tokenizer.post_processor = TemplateProcessing(
        single=around, special_tokens=[('</s>', 1), ('<s>', 2)]
    )
    folder.mkdir(exist_ok=True)
    tokenizer.save(str(folder / 'tokenizer.json'))
    (folder / 'tokenizer_config.json').write_text(
        json.dumps(
            dict(
                tokenizer_class='PreTrainedTokenizerFast',
                unk_token='<unk>',
                eos_token='</s>',
                sep_token='</s>',
                pad_token='<pad>' if start else '</s>',
            )
        )
    )
    return folder


def shake(model, seed=0):
    """Move every weight, so that no bias is zero and no norm the identity."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1 * torch.randn_like(p))
    return model

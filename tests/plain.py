"""The plain path: slow, obvious, nothing shared. Twin of the fast one."""
import torch
import torch.nn.functional as F

CLASSES = ['cat', 'Egyptian Mau', 'american_bulldog', 'ox']


def small_clip(layers=3, width=64, **text):
    """A CLIP config in open_clip's form, small enough for tests."""
    return dict(
        embed_dim=32,
        quick_gelu=True,
        vision_cfg=dict(
            image_size=32, patch_size=8, width=width, layers=layers,
            head_width=32),
        text_cfg=dict(
            context_length=77, vocab_size=49408, width=width, heads=2,
            layers=layers, **text))


def encode_text(tower, prompts):
    """Encode prompts one by one padded to the full context, (C, E).

    Args:
        tower (TextTower): The tower; its blocks are called as they are.
        prompts (list[Tensor]): Token embeddings of each prompt, (S, W).
    """
    length = tower.context_length
    padding = tower.token_embedding.weight[0]
    mask = torch.full((length, length), float('-inf')).triu(1)
    features = []
    for prompt in prompts:
        x = torch.cat([prompt, padding.expand(length - len(prompt), -1)])
        x = (x + tower.positional_embedding)[None]
        for block in tower.blocks:
            x = block(x, attn_mask=mask)
        x = tower.ln_final(x)
        features.append(x[0, len(prompt) - 1] @ tower.text_projection)
    return torch.stack(features)


def encode_image(tower, images, prompt=None, classes=None):
    """Encode images with every token carried through every block whole."""
    visual = tower.visual
    x = visual._embeds(images)
    count, previous = x.shape[1], None
    for depth, block in enumerate(tower.blocks):
        extra = None
        if prompt is not None:
            extra, _ = prompt(depth, x[:, :count], previous, classes)
        if extra is not None:
            extra = extra.expand(len(x), -1, -1)
            x = torch.cat([x[:, :count], extra], dim=1)
        x = block(x)
        previous = x[:, count:]
        x = x[:, :count]
    return visual.ln_post(x)[:, 0] @ visual.proj


def cosine_logits(image, text, scale):
    """s cos(image, text) by PyTorch's own cosine."""
    return scale * F.cosine_similarity(
        image[:, None], text[None], dim=-1)

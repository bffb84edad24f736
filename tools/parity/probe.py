"""Watch a model's forward pass without changing it."""

from contextlib import contextmanager


class Probe:
    """What the last forward pass went through.

    Attributes:
        match (Match): The result of the pass.
        terms (dict): Loss terms ``name -> (weight, value)``.
        class_tokens (dict): Class token (B, D) after each block.
        text_ends (dict): End-of-text token (C, W) of the learnt prompts after
            each block.
        attention (list): Attention weights (B, K, N + 10) of each class-aware
            layer.
        attended (list): What each class found, (B, K, D).
        prompts (list): Class-aware prompts, (B, K, D).
        prompt_tokens (dict): What became of the visual prompt's tokens after
            each block, (B, n, D), where they go on.
    """

    def __init__(self):
        self.match, self.terms = None, {}
        self.class_tokens, self.text_ends, self.prompt_tokens = {}, {}, {}
        self.attention, self.attended, self.prompts = [], [], []


@contextmanager
def probe(model):
    """Record the passes of a :class:`PromptedCLIP` made in this context."""
    seen, undo = Probe(), []

    def wrap(owner, name, record):
        original = getattr(owner, name)

        def wrapper(*args, **kwargs):
            result = original(*args, **kwargs)
            record(result)
            return result

        object.__setattr__(owner, name, wrapper)
        undo.append(lambda: object.__delattr__(owner, name))

    def on_prompt(module, args, output):
        depth, tokens, previous = args[:3]
        if depth:
            seen.class_tokens[depth - 1] = tokens[:, 0]
            if previous is not None:
                seen.prompt_tokens[depth - 1] = previous
        else:
            for values in (seen.attention, seen.attended, seen.prompts):
                values.clear()
        if output[1] is not None:
            seen.prompts.append(output[0])

    def on_image_block(block):

        def hook(module, args):
            # Other calls of a block's LayerNorm are for extra tokens only.
            if args[0].shape[1] == num_tokens:
                seen.class_tokens[block - 1] = args[0][:, 0]

        return hook

    def on_text(module, args):
        reading.clear()
        if model.text_prompt is not None and args[0].packing is model.text_prompt.packing:
            reading.append(args[0])

    def on_text_block(block):

        def hook(module, args):
            if reading:
                packing, x = reading[0].packing, args[0]
                ends = packing.last[packing.rank] + packing.prefix.numel()
                seen.text_ends[block - 1] = x[0] if block == len(texts) else x[0, ends]

        return hook

    def on_last(module, args):
        kind = seen.prompt_tokens if args[0].dim() == 3 else seen.class_tokens
        kind[model.backbone.depth - 1] = args[0]

    def on_attend(result):
        seen.attended.append(result[0])
        seen.attention.append(result[1])

    wrap(model, 'match', lambda result: setattr(seen, 'match', result))
    if hasattr(model.head, 'terms'):
        wrap(model.head, 'terms', lambda result: setattr(seen, 'terms', result))
    if 'evidence' in getattr(model.visual_prompt, 'gives', ()):
        for layer in model.visual_prompt.layers:
            wrap(layer, 'attend', on_attend)
    hooks = [model.backbone.visual.ln_post.register_forward_pre_hook(on_last)]
    texts, reading = model.text_tower.blocks, []
    hooks.append(model.text_tower.register_forward_pre_hook(on_text))
    for block, module in enumerate([*texts[1:], None], 1):
        norm = model.text_tower.ln_final if module is None else module.ln_1
        hooks.append(norm.register_forward_pre_hook(on_text_block(block)))
    if model.visual_prompt is None:
        num_tokens = len(model.backbone.visual.positional_embedding)
        for block, module in enumerate(model.backbone.blocks):
            if block:
                hooks.append(module.ln_1.register_forward_pre_hook(on_image_block(block)))
    else:
        hooks.append(model.visual_prompt.register_forward_hook(on_prompt))
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()
        for restore in undo:
            restore()

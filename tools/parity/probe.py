"""Watch a model's forward pass without changing it."""

from contextlib import contextmanager

from mmdpt.models.clip.blocks import run_block


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
    seen, undo, tower = Probe(), [], model.backbone
    place = {block: depth for depth, block in enumerate(tower.blocks)}
    num_tokens = len(tower.visual.positional_embedding)

    def swap(owner, name, function):
        object.__setattr__(owner, name, function)
        undo.append(lambda: object.__delattr__(owner, name))

    def wrap(owner, name, record):
        original = getattr(owner, name)

        def wrapper(*args, **kwargs):
            result = original(*args, **kwargs)
            record(result)
            return result

        swap(owner, name, wrapper)

    def asked(depth, tokens, classes=None):
        if depth == 0:
            for values in (seen.attention, seen.attended, seen.prompts):
                values.clear()
        edit = at_block(depth, tokens, classes)
        if edit is not None and edit.evidence is not None:
            seen.prompts.append(edit.tokens)
        return edit

    def run(block, tokens, extra=None, read=None):
        out = run_block(block, tokens, extra, read)
        if read is None:
            depth = place[block]
            seen.class_tokens[depth] = out[:, 0]
            if out.shape[1] > num_tokens:
                seen.prompt_tokens[depth] = out[:, num_tokens:]
        return out

    def forward(tokens, prompt=None, classes=None, first=0):
        recorded = prompt is model.visual_prompt  # not the frozen pass beside it
        return type(tower).forward(
            tower, tokens, prompt, classes, first, run if recorded else run_block
        )

    def below(tokens, depth):
        for block in tower.blocks[:depth]:
            tokens = run(block, tokens)
        return tokens

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
    if model.visual_prompt is not None:
        at_block = model.visual_prompt.at_block
        swap(model.visual_prompt, 'at_block', asked)
    swap(tower, 'forward', forward)
    swap(tower, 'below', below)
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()
        for restore in undo:
            restore()

"""Watch a model's forward pass without changing it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

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
def probe(model) -> Iterator[Probe]:
    """Record the passes of a :class:`PromptedCLIP` made in this context."""
    seen = Probe()
    with ExitStack() as stack:
        _Results(model, seen).watch(stack)
        _ImageBlocks(model, seen).watch(stack)
        _TextBlocks(model, seen).watch(stack)
        yield seen


class _Watch:
    """One kind of thing to record."""

    def __init__(self, model, seen: Probe):
        self.model, self.seen = model, seen

    def record(self, stack: ExitStack, owner, name: str, record: Callable) -> None:
        """Hand over what a method returns, until the stack is left."""
        original = getattr(owner, name)

        def wrapper(*args, **kwargs):
            result = original(*args, **kwargs)
            record(result)
            return result

        stack.enter_context(patch.object(owner, name, wrapper))

    def before(self, stack: ExitStack, module, hook: Callable) -> None:
        """Hand over a module's inputs, until the stack is left."""
        stack.callback(module.register_forward_pre_hook(hook).remove)


class _Results(_Watch):
    """What the model and its parts return."""

    def watch(self, stack: ExitStack) -> None:
        model = self.model
        self.record(stack, model, 'match', lambda result: setattr(self.seen, 'match', result))
        if hasattr(model.head, 'terms'):
            self.record(
                stack, model.head, 'terms', lambda result: setattr(self.seen, 'terms', result)
            )
        if 'evidence' in getattr(model.visual_prompt, 'gives', ()):
            for layer in model.visual_prompt.layers:
                self.record(stack, layer, 'attend', self.on_attend)
        if model.visual_prompt is not None:
            self.at_block = model.visual_prompt.at_block
            stack.enter_context(patch.object(model.visual_prompt, 'at_block', self.asked))

    def on_attend(self, result):
        self.seen.attended.append(result[0])
        self.seen.attention.append(result[1])

    def asked(self, depth, tokens, classes=None):
        if depth == 0:  # a new pass
            for values in (self.seen.attention, self.seen.attended, self.seen.prompts):
                values.clear()
        edit = self.at_block(depth, tokens, classes)
        if edit is not None and edit.evidence is not None:
            self.seen.prompts.append(edit.tokens)
        return edit


class _ImageBlocks(_Watch):
    """The image tower's tokens after each block of the prompted pass."""

    def watch(self, stack: ExitStack) -> None:
        tower = self.model.backbone
        self.place = {block: depth for depth, block in enumerate(tower.blocks)}
        self.num_tokens = len(tower.visual.positional_embedding)
        stack.enter_context(patch.object(tower, 'forward', self.forward))
        stack.enter_context(patch.object(tower, 'below', self.below))
        self.before(stack, tower.visual.ln_post, self.on_last)

    def forward(self, tokens, prompt=None, classes=None, first=0):
        tower = self.model.backbone
        # Not the frozen pass beside it.
        run = self.run if prompt is self.model.visual_prompt else run_block
        return type(tower).forward(tower, tokens, prompt, classes, first, run)

    def below(self, tokens, depth):
        for block in self.model.backbone.blocks[:depth]:
            tokens = self.run(block, tokens)
        return tokens

    def run(self, block, tokens, extra=None, read=None):
        out = run_block(block, tokens, extra, read)
        if read is None:
            depth = self.place[block]
            self.seen.class_tokens[depth] = out[:, 0]
            if out.shape[1] > self.num_tokens:
                self.seen.prompt_tokens[depth] = out[:, self.num_tokens :]
        return out

    def on_last(self, module, args):
        """The last block computes only the tokens that count."""
        kind = self.seen.prompt_tokens if args[0].dim() == 3 else self.seen.class_tokens
        kind[self.model.backbone.depth - 1] = args[0]


class _TextBlocks(_Watch):
    """The text tower's end-of-text tokens of the learnt prompts."""

    def watch(self, stack: ExitStack) -> None:
        tower = self.model.text_tower
        self.reading = None  # the learnt prompts, while the tower reads them
        self.before(stack, tower, self.on_text)
        for block, module in enumerate(tower.blocks[1:]):
            self.before(stack, module.ln_1, self.after_block(block))
        self.before(stack, tower.ln_final, self.on_final)

    def on_text(self, module, args):
        learnt = self.model.text_prompt
        own = learnt is not None and args[0].packing is learnt.packing
        self.reading = args[0] if own else None

    def after_block(self, block: int) -> Callable:
        def hook(module, args):
            if self.reading is not None:
                packing, classes = self.reading.packing, self.reading.classes
                last, rank, shared = packing.last, packing.rank, packing.prefix.numel()
                if classes is not None:
                    part = packing.part(classes)
                    rank, shared, last = part.rank, part.layout.shared, part.layout.last
                self.seen.text_ends[block] = args[0][0, last[rank] + shared]

        return hook

    def on_final(self, module, args):
        if self.reading is not None:
            self.seen.text_ends[len(self.model.text_tower.blocks) - 1] = args[0][0]

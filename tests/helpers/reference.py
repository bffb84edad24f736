"""DPT's step in the shape in which the authors' public code computes it, from the formulas.

``tools/benchmark_speed.py --plain reference`` measures with it. It differs from the plain path
(plain.py), which serves every method and is made to be obvious, in what a fair rival needs: the
embeddings of all prompts are laid out once, so that a step puts them together by one
concatenation; the causal mask is made once; a step reads no Python list. Like the
public code it pads all prompts to 77 tokens and encodes all classes in one batch, carries every
token through every block, and passes the image through the frozen tower for the top-K classes
and once more with the prompts. The template's features are computed once, before the training.

Sources: DPT, https://arxiv.org/abs/2208.08340, sections 3.2 and 3.3; the formulas as docs/maths.md
has them.
"""

import torch
import torch.nn.functional as F

ALPHA_GUIDED = 0.1  # of CE(image, text) in a guided epoch


class ReferenceDPT:
    """One DPT model's loss and logits.

    Args:
        model (PromptedCLIP): DPT with one shared context in front of the class name.
        filled (Tensor): Normalised features of the filled template, (C, E).

    Raises:
        ValueError: If the model is not such a DPT.
    """

    def __init__(self, model, filled: torch.Tensor):
        kinds = [type(part).__name__ for part in (model.text_prompt, model.visual_prompt)]
        if kinds != ['CoOp', 'CAVPT'] or type(model.head).__name__ != 'DPTHead':
            raise ValueError('The reference-shaped path is that of DPT: choose --method dpt.')
        prompt = model.text_prompt
        if prompt.class_specific or prompt.position != 'end':
            raise ValueError('The reference-shaped path has one shared context, before the name.')
        self.model, self.filled = model, filled
        tower, count = model.text_tower, prompt.num_tokens
        length = tower.context_length
        with torch.no_grad():
            whole = [p[0] for p in prompt().unpack()]  # start, context, name, end
            padding = tower.token_embedding.weight[0].to(whole[0])
            rows = [torch.cat([p, padding.expand(length - len(p), -1)]) for p in whole]
            tokens = torch.stack(rows)  # (C, 77, W)
        self.start, self.rest = tokens[:, :1].clone(), tokens[:, 1 + count :].clone()
        device = tokens.device
        self.ends = torch.tensor([len(p) - 1 for p in whole], device=device)
        self.mask = torch.full((length, length), float('-inf'), device=device).triu(1)
        self.mask = self.mask.to(tokens)

    def text(self) -> torch.Tensor:
        """Learnt text features, (C, E), not normalised."""
        tower = self.model.text_tower
        context = self.model.text_prompt.context.to(self.start)
        context = context.expand(len(self.start), -1, -1)
        x = torch.cat([self.start, context, self.rest], dim=1) + tower.positional_embedding
        for block in tower.blocks:
            x = block(x, attn_mask=self.mask)
        x = tower.ln_final(x)
        return self.wide(x[torch.arange(len(x), device=x.device), self.ends]) @ self.wide(
            tower.text_projection
        )

    def image(self, images, answers=()) -> torch.Tensor:
        """Image features (B, E), not normalised; ``answers`` give the tokens that are
        appended before each block and dropped behind it."""
        visual = self.model.backbone.visual
        x = visual._embeds(images.to(visual.conv1.weight.dtype))
        count = x.shape[1]
        for depth, block in enumerate(visual.transformer.resblocks):
            if answers:
                x = torch.cat([x, answers[depth](x).to(x.dtype)], dim=1)
            x = block(x)[:, :count]
        return self.wide(visual.ln_post(x)[:, 0]) @ self.wide(visual.proj)

    def wide(self, x: torch.Tensor) -> torch.Tensor:
        """In the precision of what is learnt."""
        return x.to(self.model.scale.dtype)

    def aware(self, layer, x: torch.Tensor, text: torch.Tensor):
        """Prompts (B, K, D) and class logits (B, K, C) of one class-aware layer.

        Args:
            layer (ClassAwareLayer): The parameters.
            x (Tensor): Tokens entering the block, (B, N, D).
            text (Tensor): Features of the chosen classes, (B, K, E).
        """
        q = layer.class_proj(text)
        z = torch.cat([self.wide(x.detach()), layer.tokens.expand(len(x), -1, -1)], dim=1)
        scores = layer.query(q) @ layer.key(z).transpose(1, 2) / 32**0.5
        found = layer.value(scores.softmax(-1) @ z)
        return layer.prompt_norm(found + q), layer.evidence(layer.evidence_norm(found))

    def forward(self, images: torch.Tensor) -> dict:
        """Features, chosen classes (B, K) and class logits (M, B, K, C)."""
        prompt, evidence = self.model.visual_prompt, []
        text = self.text()
        with torch.no_grad():
            frozen = self.image(images)
            chosen = self.logits(frozen, self.filled).topk(prompt.top_k).indices

        def plain(tokens):
            return lambda x: tokens.expand(len(x), -1, -1)

        def aware(layer):
            def make(x):
                made, logits = self.aware(layer, x, text[chosen])
                evidence.append(logits)
                return made

            return make

        answers = [plain(tokens) for tokens in (() if prompt.tokens is None else prompt.tokens)]
        image = self.image(images, answers + [aware(layer) for layer in prompt.layers])
        return dict(
            text=text, frozen=frozen, image=image, chosen=chosen, evidence=torch.stack(evidence)
        )

    def logits(self, image: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        """s cos(image, text), (B, C)."""
        return self.model.scale * F.normalize(image, dim=-1) @ F.normalize(text, dim=-1).t()

    def predict(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (B, C)."""
        out = self.forward(images)
        return self.logits(out['image'], out['text'])

    def loss(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The loss of a step (sections 3.2, 3.3), a scalar."""
        head, out = self.model.head, self.forward(images)
        loss = F.cross_entropy(self.logits(out['image'], out['text']), labels)
        if head.guides:
            loss = (
                F.cross_entropy(self.logits(out['frozen'], out['text']), labels)
                + F.cross_entropy(self.logits(out['image'], self.filled), labels)
                + ALPHA_GUIDED * loss
            )
        hit = out['chosen'] == labels[:, None]  # (B, K)
        asked = out['evidence'][:, hit]  # (M, hits, C)
        if asked.shape[1]:
            target = labels[hit.any(dim=1)].repeat(len(asked))
            loss = loss + head.aux_weight * F.cross_entropy(asked.flatten(0, 1), target)
        return loss

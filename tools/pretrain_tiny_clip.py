"""Train the built-in tiny CLIP from scratch on images that it renders itself.

    python tools/pretrain_tiny_clip.py [--out FOLDER]

writes ``config.json`` (the package's, with the size of the vocabulary), ``bpe.txt.gz`` and
``weights.safetensors``; no other data than the fonts that matplotlib ships is seen.
docs/tiny_clip.md has times and results.
"""

import argparse
import json
import math
import random
import time
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdpt.tiny_clip import BPE, CONFIG, FOLDER, WEIGHTS
from tiny_clip_maker.bpe import learn_merges, save_merges
from tiny_clip_maker.captions import ADJECTIVES, TRAITS, Captioner, agreement, describe
from tiny_clip_maker.glyphs import DIGITS, LETTERS, draw_characters, name_of
from tiny_clip_maker.render import Painter
from tiny_clip_maker.words import COMMON, draw_words


def encode_text(model, tokens: Tensor, chunk: int = 64) -> Tensor:
    """``model.encode_text`` with texts of like length together, padding cut: (B, E)."""
    ends = tokens.argmax(1)
    order = ends.argsort()
    features = []
    for rows in order.split(chunk):
        length = int(ends[rows].max()) + 1
        x = model.token_embedding(tokens[rows, :length]) + model.positional_embedding[:length]
        x = model.transformer(x, attn_mask=model.attn_mask[:length, :length])
        x = model.ln_final(x)[torch.arange(len(rows)), ends[rows]]
        features.append(x @ model.text_projection)
    return F.normalize(torch.cat(features)[order.argsort()], dim=-1)


def contrastive_loss(image: Tensor, text: Tensor, scale: Tensor, agrees: Tensor) -> Tensor:
    """CLIP's symmetric loss without negatives that are true captions of the image.

    Args:
        image: (B, E), normalised.
        text: (B, E), normalised.
        scale: Factor of the cosines.
        agrees: (B, B) bool, image i is truly described by caption j.
    """
    logits = scale * image @ text.T
    logits = logits.masked_fill(agrees & ~torch.eye(len(image), dtype=torch.bool), -1e4)
    labels = torch.arange(len(image))
    return (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2


def make_optimizers(model, rate: float) -> list:
    """Muon (Jordan et al., 2024) on the blocks' matrices, AdamW on everything else."""
    named = dict(model.named_parameters())
    matrices = [n for n, p in named.items() if p.ndim == 2 and '.resblocks.' in n]
    rest = [p for n, p in named.items() if n not in matrices]
    return [
        torch.optim.Muon(
            [named[n] for n in matrices], lr=rate, weight_decay=0.05, adjust_lr_fn='match_rms_adamw'
        ),
        torch.optim.AdamW(rest, lr=rate, betas=(0.9, 0.98), weight_decay=0.02),
    ]


class Tools(NamedTuple):
    """What a training step needs."""

    painter: Painter
    captioner: Captioner
    tokenizer: object


def prepare(
    folder: Path, seed: int, num_words: int, num_merges: int, characters: list | None = None
) -> Tools:
    """Draw the masters (if none are given), learn and write the merges, make the tokenizer."""
    from open_clip.tokenizer import SimpleTokenizer

    rng = random.Random(seed)
    characters = draw_characters() if characters is None else characters
    traits = [0] * len(TRAITS)
    corpus = [w for m in characters for w in describe(m.concept, traits, 0, rng).text.split()]
    stock = [word for words in ADJECTIVES.values() for name in words for word in name.split()]
    corpus += stock * 40 + COMMON
    merges = learn_merges((word.strip('.').lower() for word in corpus), num_merges)
    save_merges(merges, folder / BPE.name)
    pieces = [''.join(pair).replace('</w>', '') for pair in merges]
    masters = characters + draw_words(num_words, rng, pieces)
    tokenizer = SimpleTokenizer(bpe_path=str(folder / BPE.name), context_length=77)
    return Tools(Painter(masters), Captioner(masters, rng), tokenizer)


def pace(step: int, steps: int) -> float:
    """Factor of the learning rate: short warm-up, then half a cosine."""
    warmup = max(1, steps // 50)
    return min((step + 1) / warmup, 0.5 + 0.5 * math.cos(math.pi * step / steps))


def train(model, tools: Tools, steps: int, batch: int, rate: float, seed: int, log=print) -> None:
    """Train in place; difficulty and wordiness grow over the first 60 % of the steps."""
    rng = torch.Generator().manual_seed(seed)
    optimizers = make_optimizers(model, rate)
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(o, lambda step: pace(step, steps)) for o in optimizers
    ]
    start, mean = time.time(), None
    for step in range(steps):
        ramp = min(1.0, (step + 1) / (0.6 * steps))
        drawn = tools.painter.sample(batch, ramp, rng)
        texts, stated, truth = tools.captioner(
            drawn.chosen.tolist(), drawn.traits.tolist(), 0.25 * ramp
        )
        image = model.encode_image(drawn.images, normalize=True)
        text = encode_text(model, tools.tokenizer(texts))
        agrees = torch.from_numpy(agreement(stated, truth))
        loss = contrastive_loss(image, text, model.logit_scale.exp(), agrees)
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for part in (*optimizers, *schedules):
            part.step()
        model.logit_scale.data.clamp_(max=math.log(100))
        mean = loss.item() if mean is None else 0.95 * mean + 0.05 * loss.item()
        if (step + 1) % 50 == 0 or step + 1 == steps:
            log(
                f'step {step + 1}/{steps}  loss {mean:.3f}  difficulty {ramp:.2f}  '
                f'scale {model.logit_scale.exp().item():.1f}  {time.time() - start:.0f} s'
            )


@torch.no_grad()
def validate(model, tools: Tools, seed: int, number: int = 1000) -> dict:
    """Zero-shot accuracy on freshly rendered digits and letters at full difficulty."""
    rng, results = torch.Generator().manual_seed(seed), {}
    for kind, concepts in (('digit', DIGITS), ('letter', LETTERS[:26])):
        masters = [i for i, m in enumerate(tools.painter.masters) if m.concept in tuple(concepts)]
        chosen = torch.tensor(masters)[torch.randint(len(masters), (number,), generator=rng)]
        truth = torch.tensor([concepts.index(tools.painter.masters[i].concept) for i in chosen])
        drawn = tools.painter.draw(chosen, 1.0, rng)
        texts = [f'a photo of the {kind} {name_of(c)}.' for c in concepts]
        scores = (
            model.encode_image(drawn.images, normalize=True)
            @ encode_text(model, tools.tokenizer(texts)).T
        )
        results[kind] = round((scores.argmax(1) == truth).double().mean().item(), 4)
    return results


def main() -> None:
    from open_clip import CLIP
    from safetensors.torch import save_file

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--out', type=Path, default=FOLDER, help='where the three files go')
    parser.add_argument('--steps', type=int, default=1800)
    parser.add_argument('--batch-size', type=int, default=128)
    parser.add_argument('--lr', type=float, default=2.5e-3)
    parser.add_argument('--words', type=int, default=12000, help='words drawn beforehand')
    parser.add_argument('--merges', type=int, default=400)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--threads', type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    start = time.time()
    args.out.mkdir(parents=True, exist_ok=True)
    tools = prepare(args.out, args.seed, args.words, args.merges)
    config = json.loads(CONFIG.read_text())
    config['text_cfg']['vocab_size'] = tools.tokenizer.vocab_size
    (args.out / CONFIG.name).write_text(json.dumps(config, indent=2) + '\n')
    model = CLIP(**config)
    print(
        f'{len(tools.painter.masters)} drawings in {time.time() - start:.0f} s, '
        f'{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters',
        flush=True,
    )
    train(
        model,
        tools,
        args.steps,
        args.batch_size,
        args.lr,
        args.seed,
        log=lambda line: print(line, flush=True),
    )
    print('rendered validation:', validate(model, tools, args.seed + 1000))
    names = (CONFIG.name, BPE.name, WEIGHTS.name)
    weights = {k: v.half().contiguous() for k, v in model.state_dict().items()}
    save_file(weights, args.out / WEIGHTS.name)
    size = sum((args.out / name).stat().st_size for name in names)
    print(f'{size / 2**20:.2f} MiB in {args.out}, {time.time() - start:.0f} s in all')


if __name__ == '__main__':
    main()

"""Classify photos: python tools/predict.py CHECKPOINT IMAGE... [--top-k K] [--json F]

The config is the one that training left beside the checkpoint, or --config.
"""
import argparse
import json
import os
from pathlib import Path

# Waiting threads must not spin: on a machine with other work that makes small
# models 15 times slower. To be set before torch is imported.
os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')

from mmengine.config import Config
from mmpretrain import ImageClassificationInferencer

from mmdpt.datasets import read_image
from mmdpt.engine import read_checkpoint
from mmdpt.engine.cli import friendly_errors


def parse_args():
    """The command line."""
    parser = argparse.ArgumentParser(description='Classify images with a trained model')
    parser.add_argument('checkpoint', help='checkpoint of the training')
    parser.add_argument('images', nargs='+', metavar='image', help='image files')
    parser.add_argument('--config', help='config file; by default the one beside the checkpoint')
    parser.add_argument('--top-k', type=int, default=1, metavar='K', help='classes to show')
    parser.add_argument('--json', metavar='FILE', help='write the predictions there, too')
    parser.add_argument('--device', help='cpu, cuda, ...; by default the best there is')
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')
    return parser.parse_args()


def find_config(checkpoint):
    """str: The config file that training left beside a checkpoint.

    Raises:
        FileNotFoundError: If there is not exactly one.
    """
    found = sorted(Path(checkpoint).parent.glob('*.py'))
    if len(found) != 1:
        names = ', '.join(path.name for path in found) or 'none'
        raise FileNotFoundError(f'expected one config file beside {checkpoint}, found {names}: '
                                'give it with --config FILE')
    return str(found[0])


def predict(args):
    """list[dict]: For each image the most likely classes and their probabilities."""
    if args.top_k < 1:
        raise ValueError(f'--top-k must be at least 1, got {args.top_k}')
    read_checkpoint(args.checkpoint)  # refuses what is damaged or carries code
    cfg = Config.fromfile(args.config or find_config(args.checkpoint))
    load = cfg.test_dataloader.dataset.pipeline[0]
    upright = load.get('type') == 'LoadPILImage' and load.get('upright', False)
    images = [read_image(path, upright=upright) for path in args.images]
    infer = ImageClassificationInferencer(cfg, pretrained=args.checkpoint, device=args.device)
    predictions = []
    for path, batch in zip(args.images, infer.preprocess(images)):
        scores = infer.forward(batch)[0].pred_score.cpu()
        best = scores.argsort(descending=True, stable=True)[:args.top_k]
        classes = [dict(name=infer.classes[i], probability=float(scores[i])) for i in best]
        predictions.append(dict(image=path, classes=classes))
    return predictions


def main():
    """Predicts and prints."""
    args = parse_args()
    with friendly_errors(args.debug):
        predictions = predict(args)
        for found in predictions:
            shown = ', '.join(f"{c['name']} {c['probability']:.1%}" for c in found['classes'])
            print(f"{found['image']}: {shown}")
        if args.json:
            Path(args.json).write_text(json.dumps(predictions, indent=2))


if __name__ == '__main__':
    main()

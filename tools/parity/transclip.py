"""Recompute a case of TransCLIP: every iterate, and the choice of gamma."""

import numpy as np
import torch
import torch.nn.functional as F

from mmdpt.evaluation.transclip import TransCLIP, neighbours

from .golden import Golden, build_model, to_arrays
from .methods import template_tokens
from .settings import NotImplementedCase


@torch.no_grad()
def recompute(golden: Golden) -> dict[str, np.ndarray]:
    """Everything that we can say to a case, by the file's keys."""
    meta = golden.meta
    meta.one_of('transductive', [True])
    few = meta.one_of('validation', ['none', 'gamma by val']) != 'none'
    if few != ('support/images' in golden.arrays):
        raise NotImplementedCase('validation images without labelled ones, or the reverse')
    model = build_model(golden).eval()
    lists = {'query': 'images', **({k: f'{k}/images' for k in ('support', 'val')} if few else {})}
    features = {
        name: F.normalize(model.clip_features(golden.images(key)), dim=-1)
        for name, key in lists.items()
    }
    found = {f'out/{name}_features': value for name, value in features.items()}
    found['tok/template_prompts'] = template_tokens(model)[0]
    found['out/zeroshot_text_features'] = model.frozen_text_features()
    found['out/zeroshot_probabilities'] = model(golden.images()).softmax(dim=1)
    found['out/affinity'] = affinity(features, meta['neighbours'])
    found.update(iterates(golden, features, found['out/zeroshot_probabilities']))
    return to_arrays(found)


def affinity(features: dict[str, torch.Tensor], count: int) -> torch.Tensor:
    """The cosines that are kept, as a full array."""
    query = features['query']
    rows = torch.cat([features['support'], query]) if 'support' in features else query
    index, cosines = neighbours(rows, query, count)
    return torch.zeros(len(rows), len(query)).to(query).scatter(1, index, cosines)


def solver(golden: Golden, features: dict[str, torch.Tensor], probabilities) -> TransCLIP:
    """Ours, with the case's settings."""
    meta = golden.meta
    labels = golden.arrays.get('support/labels')
    return TransCLIP(
        features['query'],
        probabilities,
        features.get('support'),
        None if labels is None else golden.tensor('support/labels'),
        num_neighbours=meta['neighbours'],
        prior=meta['lambda_value'],
        temperature=meta['temperature'],
        rounds=meta['max_iter'],
        inner=meta['inner_iterations'],
    )


def iterates(golden: Golden, features: dict[str, torch.Tensor], probabilities) -> dict:
    """The run step by step; what is reported, from the search that users call."""
    gammas, labels = golden.meta['gamma_list'], golden.tensor('labels')
    ours, steps = (
        solver(golden, features, probabilities),
        dict(assignments=[], means=[], variances=[]),
    )
    start = ours.means
    val = features.get('val')
    nearest = None if val is None else neighbours(val, features['query'], 1, drop=0)[0][:, 0]
    tests, vals = [], []
    for gamma in gammas:
        for _ in range(ours.rounds):
            ours.assign()
            ours.estimate(gamma)
            for name in ('means', 'variances'):
                steps[name].append(getattr(ours, name))
            steps['assignments'].append(before(ours))
        ours.assign()
        steps['assignments'].append(before(ours))
        tests.append(accuracy(ours.assignments, labels))
        if val is not None:
            val_labels = golden.tensor('val/labels')
            vals.append(accuracy(ours.assignments[nearest], val_labels))
    found = {f'traj/{name}': torch.stack(values) for name, values in steps.items()}
    found.update({'init/means': start, 'out/assignments': ours.assignments})
    found['search/gamma'] = np.array(gammas, np.float64)
    again = solver(golden, features, probabilities)
    if val is None:
        for gamma in gammas:
            reported = again.run(gamma)
    else:
        reported, _ = again.search(val, val_labels, gammas)
        found['search/val_accuracy'], found['search/test_accuracy'] = (
            np.array(vals),
            np.array(tests),
        )
        found['out/val_neighbor'] = nearest
    found['out/test_accuracy'] = np.array(accuracy(reported, labels))
    return found


def before(ours: TransCLIP) -> torch.Tensor:
    """The assignments of now; the next step overwrites them."""
    return ours.assignments.clone()


def accuracy(assignments: torch.Tensor, labels: torch.Tensor) -> float:
    """In per cent."""
    return 100 * (assignments.argmax(dim=1) == labels).double().mean().item()

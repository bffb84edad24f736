"""What a CLIP sees of the arrays of a case, as plain NumPy."""

from copy import copy

import numpy as np
import torch

from helpers.twin import token_ids


class Seen:
    """Features of images and texts, and no others than those."""

    def __init__(self, net):
        self.net = net
        self.proj = net.w['visual.proj'].numpy()
        self.whole = copy(net)
        self.whole.w = dict(net.w, **{'visual.proj': torch.eye(len(self.proj)).double()})

    def images(self, array):
        """Features (..., E), not normalised."""
        return self.pooled(array) @ self.proj

    def pooled(self, array):
        """The class token before the projection, (..., Dv)."""
        images = torch.from_numpy(array.reshape(-1, *array.shape[-3:])).double()
        return self.whole.image(images).numpy().reshape(*array.shape[:-3], -1)

    def texts(self, template, names):
        """Token ids and features, not normalised."""
        prompts = [self.net.prompts(template.replace('{}', n), classes=['']) for n in names]
        prompts = [one for [one] in prompts]
        return token_ids(prompts), self.net.text(prompts).numpy()


def percent(logits, labels):
    return np.array(100 * np.mean(logits.argmax(1) == labels))


def spaced(names):
    return [name.replace('_', ' ') for name in names]


def first_best(accuracy, values, none):
    """The first strictly better than those before it; ``none`` where nothing is above 0."""
    best, kept = 0, none
    for score, value in zip(np.ravel(accuracy), values):
        if score > best:
            best, kept = score, value
    return kept

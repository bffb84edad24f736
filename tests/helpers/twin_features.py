"""The methods of the feature space in plain NumPy, one image and one class at a time."""

import numpy as np


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def softmax(z):
    p = np.exp(z - z.max(-1, keepdims=True))
    return p / p.sum(-1, keepdims=True)


def cross_entropy(logits, labels):
    """Mean loss, and its gradient with respect to the logits."""
    p, n = softmax(logits), len(labels)
    loss = -np.mean([np.log(p[i, y]) for i, y in enumerate(labels)])
    p[np.arange(n), labels] -= 1
    return loss, p / n


def gda(rows, labels, classes):
    """Means, precision, weight (C, E), bias."""
    x, e = unit(rows), rows.shape[1]
    means = np.array([np.mean([a for a, y in zip(x, labels) if y == c], 0) for c in range(classes)])
    covariance = np.zeros((e, e))
    for a, y in zip(x, labels):
        covariance += np.outer(a - means[y], a - means[y]) / (len(x) - 1)
    shrunk = (len(x) - 1) * covariance + np.trace(covariance) * np.eye(e)
    precision = e * np.linalg.pinv(shrunk)
    bias = [np.log(1 / classes) - m @ precision @ m / 2 for m in means]
    return means, precision, means @ precision, np.array(bias)


def gda_new(rows, text, nearest, copies):
    """Weight and bias of classes without images."""
    x, e = unit(rows), rows.shape[1]
    means, precision = [], np.zeros((e, e))
    for w in unit(text):
        chosen = x[np.argsort(-(x @ w), kind='stable')[:nearest]]
        means.append((chosen.sum(0) + copies * w) / (nearest + copies))
        covariance = (chosen - w).T @ (chosen - w) / (nearest - 1)
        shrunk = (nearest - 1) * covariance + np.trace(covariance) * np.eye(e)
        precision += e * np.linalg.pinv(shrunk) / len(text)
    bias = [np.log(1 / len(text)) - m @ precision @ m / 2 for m in means]
    return np.array(means) @ precision, np.array(bias)


def lppp(rows, labels, text, bias, epochs, period, momentum):
    """Weight, bias and alpha after these epochs."""
    x, w = unit(rows), unit(text)
    n, classes = len(x), len(text)
    weight = np.array([sum(a for a, y in zip(x, labels) if y == c) for c in range(classes)])
    cosines = x @ w.T
    means = [np.mean([cosines[i, c] for i in range(n) if labels[i] == c]) for c in range(classes)]
    alpha = np.full(classes, 250 * np.mean(means))
    rate = 4 * n / np.linalg.eigvalsh(x.T @ x).max()
    alpha_rate = n / (4 * (cosines**2).sum(0).max())
    speed_w, speed_b, summed = np.zeros_like(weight), np.zeros_like(bias), np.zeros(classes)
    for epoch in range(1, epochs + 1):
        _, slope = cross_entropy(x @ weight.T + bias + alpha * cosines, labels)
        summed += (slope * cosines).sum(0)
        speed_w = momentum * speed_w + slope.T @ x
        speed_b = momentum * speed_b + slope.sum(0)
        weight, bias = weight - rate * speed_w, bias - rate * speed_b
        if epoch % period == 0:
            alpha = alpha - alpha_rate * summed
    return weight, bias, alpha


def cosine_slope(rows, prototypes, scale, slope):
    """Gradient of scaled cosines with respect to the prototypes."""
    norms = np.linalg.norm(prototypes, axis=1, keepdims=True)
    direction = scale * slope.T @ unit(rows)  # with respect to the unit prototypes
    p = prototypes / norms
    return (direction - (direction * p).sum(1, keepdims=True) * p) / norms


def clap(rows, labels, text, scale, rate, momentum, steps, adaptive):
    """Prototypes and multipliers after steps over all rows, each an epoch."""
    zero_shot = softmax(scale * unit(rows) @ unit(text).T)
    own = [[zero_shot[i, c] for i, y in enumerate(labels) if y == c] for c in range(len(text))]
    multipliers = np.array([np.mean(values) for values in own])
    prototypes, speed, growth = text.copy(), np.zeros_like(text), np.zeros(len(text))
    for _ in range(steps):
        logits = scale * unit(rows) @ unit(prototypes).T
        _, slope = cross_entropy(logits, labels)
        gradient = cosine_slope(rows, prototypes, scale, slope)
        gradient += 2 * multipliers[:, None] * (prototypes - text) / len(text)
        speed = momentum * speed + gradient
        prototypes = prototypes - rate * speed
        if adaptive:
            distance = ((prototypes - text) ** 2).sum(1)
            multipliers = np.maximum(0, multipliers + growth * distance)
            growth = distance
    return prototypes, multipliers


def prolip(views, labels, text, start, scale, epochs, rate, weight):
    """The projection after these epochs of Adam."""
    proj, m, v = start.copy(), np.zeros_like(start), np.zeros_like(start)
    for epoch in range(epochs):
        x = views[(epoch + 1) % len(views)]
        features = x @ proj
        norms = np.linalg.norm(features, axis=1, keepdims=True)
        f = features / norms
        _, slope = cross_entropy(scale * f @ unit(text).T, labels)
        direction = scale * slope @ unit(text)
        direction = (direction - (direction * f).sum(1, keepdims=True) * f) / norms
        gradient = x.T @ direction + 2 * weight * (proj - start)
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        step = m / (1 - 0.9 ** (epoch + 1))
        size = np.sqrt(v / (1 - 0.999 ** (epoch + 1))) + 1e-4
        proj = proj - rate / 2 * (1 + np.cos(np.pi * epoch / epochs)) * step / size
    return proj


def ape(views, labels, text, query, channels, weights, setting, scale):
    """Logits of queries, and the channels that are kept."""
    keys, w, classes = unit(views.mean(0)), unit(text), len(text)
    likeness, pairs = np.zeros(keys.shape[1]), 0
    groups = [[w[c], *(k for k, y in zip(keys, labels) if y == c)] for c in range(classes)]
    for i in range(classes):
        for j in range(classes):
            for a in groups[i] if i != j else ():
                for b in groups[j]:
                    likeness, pairs = likeness + a * b, pairs + 1
    criterion = -weights[0] * likeness / pairs + weights[1] * w.var(0, ddof=1)
    kept = np.argsort(-criterion, kind='stable')[:channels]
    small = [unit(x[:, kept]) for x in (keys, w, query)]
    answers = softmax(small[0] @ small[1].T)
    alpha, beta, gamma = setting
    logits = scale * unit(query) @ w.T
    for b, f in enumerate(small[2]):
        for key, answer, y in zip(small[0], answers, labels):
            far = np.log2((1 + 1e-6) / (answer[y] + 1e-6))
            logits[b, y] += alpha * np.exp(-beta * (1 - f @ key)) * np.exp(gamma * far)
    return logits, kept

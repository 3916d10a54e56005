"""Learns how to weigh evidence, from held-out typings of known users."""

import numpy as np

STEP = 2.0**-12  # weights are whole multiples of it: the last bits, which the CPU decides, go
_NEWTON_STEPS = 50
_PRECISION = 1e-10
_NEGLIGIBLE = 1e-12  # a posterior that adds nothing to a sum


def learn_weights(
    evidence: np.ndarray, targets: np.ndarray, ridge: float = 0.0, start: float = 1.0
) -> np.ndarray:
    """Return the weights [kinds] >= 0 of a conditional logit (McFadden 1974): those for which
    softmax over users of `evidence` [rows, users, kinds] @ weights gives the true users
    `targets` [rows] the greatest likelihood, less ridge / 2 × the sum of their squares.

    The loss is convex. It is minimised by Newton's steps on those weights that are not held at
    zero (Bertsekas 1982).
    """
    # Without its true user a row has rivals only, whose evidence is relative to that user's.
    everyone = np.arange(evidence.shape[1])
    rivals = everyone[np.newaxis] != targets[:, np.newaxis]
    own = evidence[~rivals][:, np.newaxis]
    relative = (evidence - own)[rivals].reshape(len(targets), -1, evidence.shape[2])
    weights = np.full(evidence.shape[2], start)
    loss, gradient, curvature = _logit(relative, weights, ridge)
    for _ in range(_NEWTON_STEPS):
        free = (weights > 0) | (gradient < 0)
        if np.abs(gradient[free]).max(initial=0) < _PRECISION:
            break
        direction = np.zeros_like(weights)
        # Kinds that say the same leave a choice, and then the smallest step is taken.
        direction[free] = np.linalg.lstsq(curvature[np.ix_(free, free)], -gradient[free])[0]
        moved = loss
        for size in 0.5 ** np.arange(12):
            tried = np.maximum(weights + size * direction, 0)
            moved, *slopes = _logit(relative, tried, ridge)
            if moved < loss:
                break
        if not moved < loss:
            break
        weights, loss, (gradient, curvature) = tried, moved, slopes
    return np.round(weights / STEP) * STEP


def more_typings(targets: np.ndarray) -> float:
    """Return by how much evidence should count for more than was learned from held-out rows:
    models fitted on all of a user's typings know one more than those that held one out.

    1 + 1 / (2 × typings) is what was right on the public data for 2 to 7 typings of a user.
    """
    return 1 + len(np.unique(targets)) / (2 * len(targets))


def log_softmax(evidence: np.ndarray) -> np.ndarray:
    """Return the logarithm of the posterior [rows, users] of evidence [rows, users]."""
    shifted = evidence - evidence.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def _logit(
    relative: np.ndarray, weights: np.ndarray, ridge: float
) -> tuple[float, np.ndarray, np.ndarray]:
    """Loss, gradient and curvature of rivals' relative evidence [rows, rivals, kinds]."""
    rows = len(relative)
    evidence = relative @ weights
    most = np.maximum(evidence.max(axis=1), 0)
    ratios = np.exp(evidence - most[:, np.newaxis])
    sums = ratios.sum(axis=1) + np.exp(-most)
    posterior = ratios / sums[:, np.newaxis]
    means = np.einsum("ru,ruk->rk", posterior, relative)
    matters = posterior > _NEGLIGIBLE
    spread = relative[matters] * np.sqrt(posterior[matters])[:, np.newaxis]
    loss = (np.log(sums) + most).mean() + ridge / 2 * weights @ weights
    gradient = means.mean(axis=0) + ridge * weights
    curvature = (spread.T @ spread - means.T @ means) / rows + ridge * np.eye(len(weights))
    return loss, gradient, curvature

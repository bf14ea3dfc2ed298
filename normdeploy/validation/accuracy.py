"""Classification accuracy over batches, and how often a backend's class differs from the reference's."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from normdeploy.dtypes import Array


def predicted_classes(outputs: Mapping[str, Array], output: str, samples: int) -> Array:
    """The class with the highest score, for each of the first rows of an output.

    Args:
        outputs: arrays by name.
        output: the name of the one with the scores, a row for each sample.
        samples: how many rows count; those that only fill a batch come after them.
    """
    scores = outputs[output]
    classes: Array = np.argmax(scores.reshape(scores.shape[0], -1)[:samples], axis=1)
    return classes


def scores_output(outputs: Mapping[str, Array], rows: int) -> str | None:
    """The first output that has a row per sample and more than one floating score in each.

    Args:
        outputs: arrays by name.
        rows: of the batch.
    """
    for name, array in outputs.items():
        if array.dtype.kind == "f" and array.ndim >= 2 and array.shape[0] == rows and array[0].size > 1:
            return name
    return None


class Tally:
    """Counts right and flipped predictions."""

    def __init__(self) -> None:
        self.samples = self.right = self.flips = 0

    def add(self, predicted: Array, labels: Array, reference: Array) -> None:
        """Count one batch.

        Args:
            predicted: the classes that were predicted.
            labels: the right ones.
            reference: the classes that the reference predicts.
        """
        self.samples += labels.size
        self.right += int(np.count_nonzero(predicted == labels))
        self.flips += int(np.count_nonzero(predicted != reference))

    @property
    def accuracy(self) -> float | None:
        """The share of right ones; None if nothing was counted."""
        return self.right / self.samples if self.samples else None

"""Train the digits network, export it, and write everything that `make demo` needs.

Run from the repository's root: python -m models.digits.train

Data: scikit-learn's digits (1,797 images of the UCI "Optical Recognition of Handwritten Digits" test set),
a quarter of each class held out. The same machine gives the same weights each time.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

from models.digits.network import WEIGHTS, DigitsNet, trained
from normdeploy.torch import export

FOLDER = Path(__file__).parent
EPOCHS, BATCH = 40, 64


def split() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Training images, held-out images (N, 1, 8, 8) in [0, 1], training labels, held-out labels."""
    data = load_digits()
    images = (data.images / 16).astype(np.float32)[:, None]
    return tuple(train_test_split(images, data.target, test_size=0.25, stratify=data.target, random_state=0))


def train(images: Tensor, labels: Tensor) -> DigitsNet:
    """A network trained with Adam and a one-cycle learning rate, on shifted copies of the images."""
    torch.manual_seed(0)
    network = DigitsNet()
    optimizer = torch.optim.Adam(network.parameters(), weight_decay=1e-4)
    steps = EPOCHS * (len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=5e-3, total_steps=steps)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(images)).split(BATCH)[: len(images) // BATCH]:
            down, right = torch.randint(-1, 2, (2,)).tolist()
            shifted = images[batch].roll((down, right), (2, 3))
            loss = nn.functional.cross_entropy(network(shifted), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.eval()


def main() -> None:
    torch.use_deterministic_algorithms(True)
    start = time.perf_counter()
    train_images, test_images, train_labels, test_labels = split()
    network = train(torch.from_numpy(train_images), torch.from_numpy(train_labels))
    with torch.no_grad():
        correct = network(torch.from_numpy(test_images)).argmax(1).numpy() == test_labels
    seconds = time.perf_counter() - start
    print(f"held-out accuracy {correct.mean():.2%} of {len(correct)} digits, trained in {seconds:.0f} s")

    save_file(network.state_dict(), WEIGHTS)
    np.savez_compressed(FOLDER / "heldout.npz", image=test_images, labels=test_labels)
    network, example = trained()
    dynamic = {"image": [0]}
    export(network, example, FOLDER / "original.onnx", dynamic=dynamic, output_names=["scores"], fold=False)
    export(network, example, FOLDER / "digits.onnx", dynamic=dynamic, output_names=["scores"])


if __name__ == "__main__":
    main()

"""Does a learned prior give photographs a lower energy than pictures that share only their simple statistics?

For each photograph: white noise with its mean and channel covariance, and its phase-scrambled version. Prints the share
of photographs that have the lower energy. Baseline in the same run: total variation of the same pictures.

    python benchmarks/natural_energy.py --images FOLDER [--size 128] [--prior NAME ...]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from restoration_core.images import SUFFIXES, load_image
from restoration_core.priors.controls import noise_matched, phase_scrambled
from restoration_core.priors.hand_crafted import TotalVariation
from restoration_core.priors.library import PriorLibrary
from restoration_core.seeds import derive_seed

GOAL = 0.95


def energies(energy: Callable[[Tensor], Tensor], files: list[Path], size: int, seed: int) -> Tensor:
    """Return ``(n, 3)``: energies of photograph, noise-matched and phase-scrambled version."""
    rows = []
    for file in files:
        generator = torch.Generator().manual_seed(derive_seed(seed, file.name))
        picture = torch.from_numpy(load_image(file, size))
        versions = torch.stack([picture, noise_matched(picture, generator), phase_scrambled(picture, generator)])
        rows.append(energy(versions))
    return torch.stack(rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True, help="folder with at least 100 photographs")
    parser.add_argument("--size", type=int, default=128, help="side of the central square, in pixels")
    parser.add_argument("--prior", nargs="+", default=["logistic-8x8-512", "student_t-8x8-512"], help="keys or names")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    files = sorted(path for path in arguments.images.glob("[!.]*") if path.suffix.lower() in SUFFIXES)
    if len(files) < 100:
        parser.error(f"{arguments.images}: {len(files)} photographs; at least 100 are needed")
    library = PriorLibrary()
    measured: dict[str, Callable[[Tensor], Tensor]] = {"total variation, beta 1": TotalVariation(beta=1.0).energy}
    measured |= {name: library.load(name).energy for name in arguments.prior}
    print(f"{len(files)} photographs, {arguments.size} px squares, seed {arguments.seed}; share with the lower energy:")
    print(f"{'':26}{'against noise':>15}{'against scrambled':>19}{'median scrambled / natural':>28}")
    passed = True
    for name, energy in measured.items():
        values = energies(energy, files, arguments.size, arguments.seed)
        noise, scrambled = ((values[:, :1] < values[:, 1:]).double().mean(dim=0)).tolist()
        ratio = float((values[:, 2] / values[:, 0]).median())
        print(f"{name:26}{noise:>14.1%} {scrambled:>18.1%} {ratio:>27.2f}")
        passed &= name not in arguments.prior or min(noise, scrambled) >= GOAL
    print(f"goal for learned priors, {GOAL:.0%} on both: {'reached' if passed else 'MISSED'}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())

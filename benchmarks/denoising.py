"""Do the learned priors denoise? One gradient step from noisy photographs, against the best step of total variation.

Every prior takes one step ``y - t grad E(y)`` from the noisy crop ``y``; the length ``t``, and for total variation its
exponent and smoothing, are those with the highest mean PSNR on crops of other photographs. A prior of several noise
levels stands at the level of the noise. Beside it, total variation minimised to the end (scikit-image's Chambolle, its
weight searched alike) and, for denoisers, their output. Prints mean PSNR and the share of photographs where the prior's
step beats the best step of total variation.

Goals: a learned prior beats it on 90 % of the photographs; a denoiser's output is 0.5 dB ahead of total variation
minimised to the end. The exit code is 1 where a prior misses one.

    python benchmarks/denoising.py [--images FOLDER] [--search FOLDER] [--prior NAME ...] [--noise 0.05 0.1]
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from skimage.restoration import denoise_tv_chambolle
from torch import Tensor

from restoration_core.metrics import psnr
from restoration_core.priors import PriorLibrary, load_folder, load_samples
from restoration_core.priors.convolutional_experts import ConvolutionalExperts
from restoration_core.priors.denoiser import Denoiser
from restoration_core.priors.prior import Prior
from restoration_core.seeds import derive_seed

SHARE_GOAL = 0.9
MARGIN_GOAL_DB = 0.5
# Lengths of the step that are tried, 5 % apart; 1 moves a picture as far as the noise has moved it.
FACTORS = torch.logspace(-1.5, 0.5, 94)
EXPONENTS = (1.0, 1.25, 1.5, 2.0)
SMOOTHINGS = (0.003, 0.01, 0.03, 0.1, 0.3)
CHAMBOLLE_WEIGHTS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.5, 1.7, 2.0)


def crops(pictures: Sequence[Tensor], size: int, count: int, seed: int) -> Tensor:
    """Return square crops at random places, ``(count, 3, size, size)``, evenly over the pictures."""
    generator = torch.Generator().manual_seed(derive_seed(seed, "crops"))
    found = []
    for index in range(count):
        picture = pictures[index % len(pictures)]
        top, left = (int(torch.randint(side - size + 1, (), generator=generator)) for side in picture.shape[1:])
        found.append(picture[:, top : top + size, left : left + size])
    return torch.stack(found)


def noisy(clean: Tensor, sigma: float, seed: int) -> Tensor:
    """Return the crops with white noise, not clipped."""
    generator = torch.Generator().manual_seed(derive_seed(seed, "noise", sigma))
    return clean + sigma * torch.randn(clean.shape, generator=generator)


def smooth_tv_gradient(x: Tensor, beta: float, epsilon: float) -> Tensor:
    """Return the gradient of ``sum (v + epsilon^2)^(beta/2)``, v the squared differences, in closed form."""
    down, right = torch.zeros_like(x), torch.zeros_like(x)
    down[..., :-1, :] = x[..., 1:, :] - x[..., :-1, :]
    right[..., :-1] = x[..., 1:] - x[..., :-1]
    factor = beta * (down.square() + right.square() + epsilon**2).pow(beta / 2 - 1)
    down, right = down * factor, right * factor
    out = -(down + right)
    out[..., 1:, :] += down[..., :-1, :]
    out[..., 1:] += right[..., :-1]
    return out


def best_length(gradient: Tensor, noisy_: Tensor, clean: Tensor, sigma: float) -> tuple[float, float]:
    """Return the step length with the highest mean PSNR, and that PSNR."""
    unit = sigma / float(gradient.square().mean().sqrt())
    value, length = max((float(psnr(noisy_ - unit * t * gradient, clean).mean()), unit * t) for t in FACTORS.tolist())
    return length, value


def gradient_of(prior: Prior, x: Tensor) -> Tensor:
    return torch.cat([prior.gradient(part) for part in x.split(16)])


def at_level(prior: Prior, sigma: float) -> Prior:
    """Return the prior at the level nearest to the noise that it was trained at, where it has several."""
    if isinstance(prior, Denoiser | ConvolutionalExperts):
        return prior.at_noise(min(max(sigma, prior.noise_levels[0]), prior.noise_levels[-1]))
    return prior


def chambolle(noisy_: Tensor, weight: float) -> Tensor:
    """Return total variation minimised to the end, picture by picture."""
    rows = [denoise_tv_chambolle(row.permute(1, 2, 0).numpy(), weight=weight, channel_axis=-1) for row in noisy_]
    return torch.from_numpy(np.stack(rows)).permute(0, 3, 1, 2)


def best_tv_step(search: tuple[Tensor, Tensor], judged: Tensor, sigma: float) -> tuple[str, Tensor]:
    """Return what the best step of total variation is called, and the judged crops after it."""
    clean, start = search
    trials = []
    for beta in EXPONENTS:
        for epsilon in SMOOTHINGS if beta < 2 else (0.0,):
            length, value = best_length(smooth_tv_gradient(start, beta, epsilon), start, clean, sigma)
            trials.append((value, beta, epsilon, length))
    _, beta, epsilon, length = max(trials)
    smoothing = f", smoothing {epsilon:g}" if beta < 2 else ""
    return f"total variation, beta {beta:g}{smoothing}", judged - length * smooth_tv_gradient(judged, beta, epsilon)


def main() -> int:
    arguments = _arguments()
    library = PriorLibrary(arguments.folder)
    names = arguments.prior or [entry.key for entry in library.list() if entry.recipe.maps is None]
    priors = {library.entry(name).name: library.load(name) for name in names}
    judged, search = _photographs(arguments)
    print(
        f"{len(judged)} judged and {len(search)} searched crops of {arguments.size} px, shorter side"
        f" {arguments.short_side} px, seed {arguments.seed}; PSNR in dB, mean over crops"
    )
    passed = True
    for sigma in arguments.noise:
        start, before = (noisy(clean, sigma, arguments.seed + part) for part, clean in enumerate((judged, search)))
        name, stepped = best_tv_step((search, before), start, sigma)
        baseline = psnr(stepped, judged)
        _, weight = max((float(psnr(chambolle(before, w * sigma), search).mean()), w) for w in CHAMBOLLE_WEIGHTS)
        converged = psnr(chambolle(start, weight * sigma), judged)
        print(f"\nnoise {sigma:g}{'':42}{'PSNR':>8}{'over the TV step':>18}{'share ahead':>13}")
        _line("noisy", psnr(start, judged), baseline)
        _line(name, baseline, baseline)
        _line(f"total variation to the end, weight {weight * sigma:g}", converged, baseline)
        for title, prior in priors.items():
            here = at_level(prior, sigma)
            length, _ = best_length(gradient_of(here, before), before, search, sigma)
            values = psnr(start - length * gradient_of(here, start), judged)
            _line(title, values, baseline)
            passed &= float((values > baseline).double().mean()) >= SHARE_GOAL
            if isinstance(here, Denoiser):
                output = psnr(torch.cat([here.denoise(part) for part in start.split(16)]), judged)
                _line(f"{title}, output", output, baseline)
                margin = float((output - converged).mean())
                print(f"    output ahead of total variation to the end by {margin:.2f} dB")
                passed &= margin >= MARGIN_GOAL_DB
    print(
        f"\ngoals, steps ahead on {SHARE_GOAL:.0%} and denoisers {MARGIN_GOAL_DB} dB ahead of total variation to the"
        f" end: {'reached' if passed else 'MISSED'}"
    )
    return 0 if passed else 1


def _line(name: str, values: Tensor, baseline: Tensor) -> None:
    gain, share = float((values - baseline).mean()), float((values > baseline).double().mean())
    print(f"  {name:49}{float(values.mean()):8.2f}{gain:+18.2f}{share:12.0%}")


def _photographs(arguments: argparse.Namespace) -> tuple[Tensor, Tensor]:
    """Return judged crops and crops of other photographs to search on."""
    side, size = arguments.short_side, arguments.size
    shown = load_folder(arguments.images, side) if arguments.images else load_samples(side)
    judged = list(shown.pictures)
    if arguments.search:
        others = list(load_folder(arguments.search, side).pictures)
    else:  # a fifth of the photographs, at least one, is used for the search and not judged
        others, judged = judged[::5], [picture for index, picture in enumerate(judged) if index % 5]
    count = max(arguments.count, len(judged))
    each = math.ceil(count / len(judged))
    return (
        crops(judged, size, each * len(judged), arguments.seed),
        crops(others, size, arguments.search_crops, arguments.seed + 1),
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, help="folder of photographs to judge on; default: the sample pictures")
    parser.add_argument("--search", type=Path, help="folder to search on; default: every fifth of the photographs")
    parser.add_argument("--prior", nargs="+", help="keys or names; default: all of the library on pictures")
    parser.add_argument("--library", dest="folder", type=Path, help="folder of the library")
    parser.add_argument("--noise", type=float, nargs="+", default=[0.05, 0.1], help="standard deviations")
    parser.add_argument("--short-side", type=int, default=160, help="photographs are resized to this shorter side")
    parser.add_argument("--size", type=int, default=64, help="side of the crops, in pixels")
    parser.add_argument("--count", type=int, default=100, help="least number of judged crops")
    parser.add_argument("--search-crops", type=int, default=40, help="crops to search on")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.size > arguments.short_side:
        parser.error(f"--size {arguments.size}: at most --short-side, {arguments.short_side}")
    return arguments


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main())

"""Compare convolutions with matrix products: milliseconds on one core, forward and backward.

    python perf/convolution.py [--batch 8]

Prints, for layers of ResNet-50 at 64 and 224 pixels in bfloat16, the time of the library's convolution and
of the product, and their ratio. ``WEIGHTS_PER_PIXEL`` of benchmark/classifiers/convolution.py is based on
these figures. Times are CPU time, the smallest of several repetitions.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from torch.nn.functional import conv2d

from benchmark.classifiers.convolution import matmul_convolution

# channels in, channels out, taps across
LAYERS = (
    (64, 64, 3), (256, 64, 1), (128, 128, 3), (512, 128, 1), (256, 256, 3), (1024, 256, 1), (512, 512, 3),
    (2048, 512, 1),
)  # fmt: skip
SIDES = {
    64: 16,
    128: 8,
    256: 4,
    512: 2,
}  # side of the maps by their number of channels within a block, at 64 pixels


def milliseconds(work: Callable[[], object], repetitions: int = 10) -> float:
    """Return the shortest CPU time."""
    times = []
    for _ in range(repetitions):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return 1000 * min(times)


def both(
    convolve: Callable[..., torch.Tensor], image: torch.Tensor, weight: torch.Tensor
) -> Callable[[], object]:
    """Return a function that computes the output and both gradients."""
    gradient = torch.randn_like(convolve(image, weight))
    return lambda: torch.autograd.grad(convolve(image, weight), (image, weight), gradient)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--batch", type=int, default=8)
    batch = parser.parse_args().batch
    torch.set_num_threads(1)
    for size, scale in ((64, 1.0), (224, 3.5)):
        for channels, out, taps in LAYERS:
            side = round(SIDES[min(channels, out)] * scale)
            shape = (batch, channels, side, side)
            image, weight = torch.randn(shape), torch.randn(out, channels, taps, taps)
            image, weight = (
                t.bfloat16().contiguous(memory_format=torch.channels_last).requires_grad_()
                for t in (image, weight)
            )
            library = milliseconds(both(lambda x, w, p=taps // 2: conv2d(x, w, padding=p), image, weight))
            product = milliseconds(both(matmul_convolution, image, weight))
            pixels = batch * side * side
            print(
                f"{size} px: {channels} to {out}, {taps}x{taps}, {weight.numel() / pixels:.1f} weights "
                f"per pixel: {library:6.2f} ms, product {product:6.2f} ms, {library / product:.2f} times"
            )


if __name__ == "__main__":
    main()

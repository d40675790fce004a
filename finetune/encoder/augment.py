"""Images on the training device: distorted as other machines and postures would, and normalised.

Never mirrored: a heart on the other side is a finding.
"""

import torch
from torch import Tensor
from torch.nn import functional

from finetune.encoder.config import EncoderConfig


def normalise(images: Tensor) -> Tensor:
    """(n, h, w) uint8 or 0..255 -> (n, 3, h, w), three equal channels from -1 to 1."""
    return (images.float() / 127.5 - 1.0)[:, None].expand(-1, 3, -1, -1)


def coarsen(images: Tensor, probability: Tensor) -> Tensor:
    """Blur some images as if they had been stored at half their size.

    Takes (n, h, w) of 0 to 255 and (n,), returns (n, h, w) float.
    """
    pixels = images.float()
    half = functional.avg_pool2d(pixels[:, None], 2)
    low = functional.interpolate(half, scale_factor=2, mode="bicubic", align_corners=False)
    chosen = torch.rand(len(pixels), device=pixels.device) < probability
    return torch.where(chosen[:, None, None], low[:, 0].clamp(0, 255), pixels)


def augment(images: Tensor, config: EncoderConfig) -> Tensor:
    """Turn, scale, shift, brighten and blank (n, h, w) of 0 to 255: (n, 3, size, size), -1 to 1."""
    n, device = len(images), images.device

    def uniform(low: float, high: float) -> Tensor:
        return torch.empty(n, device=device).uniform_(low, high)

    angle = uniform(-config.rotate, config.rotate) * (torch.pi / 180)
    zoom = uniform(-config.scale, config.scale).exp()
    stretch = uniform(-config.scale / 3, config.scale / 3).exp()
    cos, sin = angle.cos() * zoom, angle.sin() * zoom
    shift = torch.stack([uniform(-config.shift, config.shift) * 2 for _ in range(2)], dim=1)
    matrix = torch.stack(
        [
            torch.stack([cos * stretch, -sin, shift[:, 0]], dim=1),
            torch.stack([sin, cos / stretch, shift[:, 1]], dim=1),
        ],
        dim=1,
    )
    with torch.autocast(device.type, enabled=False):
        grid = functional.affine_grid(matrix, [n, 1, config.size, config.size], align_corners=False)
        pixels = functional.grid_sample(
            images[:, None].float() / 255, grid, padding_mode="zeros", align_corners=False
        )[:, 0]
    contrast = config.contrast
    gamma = uniform(-contrast, contrast).exp()[:, None, None]
    pixels = pixels.clamp(1e-4, 1.0).pow(gamma)
    gain = uniform(1 - contrast / 2, 1 + contrast / 2)[:, None, None]
    pixels = (pixels - 0.5) * gain + 0.5 + uniform(-contrast / 4, contrast / 4)[:, None, None]
    # One rectangle, from a tenth to two fifths of each side.
    side = torch.arange(config.size, device=device) / config.size
    inside = torch.rand(n, device=device)[:, None, None] < config.erase
    for dimension in range(2):
        extent, centre = uniform(0.05, 0.2), uniform(0, 1)
        close = (side[None] - centre[:, None]).abs() < extent[:, None]
        inside = inside & (close[:, :, None] if dimension == 0 else close[:, None, :])
    pixels = torch.where(inside, torch.rand(n, device=device)[:, None, None], pixels)
    pixels = pixels.clamp(0, 1) * 2 - 1
    return pixels[:, None].expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)

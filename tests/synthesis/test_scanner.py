"""The scanner: keeps the picture's level, adds noise, stays within 12 bits, repeats itself."""

import torch

from openvista.synthesis.draws import Draws
from openvista.synthesis.scanner import HIGHEST, LOWEST, scan_body
from openvista.synthesis.warp import Raster

FRAME = Raster((24, 24, 16), (3.0, 3.0, 4.0))


def test_level_stays_and_noise_comes():
    fine = FRAME.finer(1.5)
    picture = torch.full(fine.shape, 50.0)
    scans = [scan_body(picture, FRAME, Draws(seed)) for seed in range(20)]
    assert all(scan.shape == FRAME.shape for scan in scans)
    assert all(abs(float(scan.mean()) - 50) < 25 for scan in scans)
    noise = torch.tensor([float(scan.std()) for scan in scans])
    assert noise.max() > 3 * noise.min()
    assert torch.equal(scans[3], scan_body(picture, FRAME, Draws(3)))


def test_values_are_those_of_a_scanner():
    picture = torch.linspace(-5000, 9000, 24 * 24 * 16).view(FRAME.shape)
    scan = scan_body(picture, FRAME, Draws(1))
    assert float(scan.min()) >= LOWEST
    assert float(scan.max()) <= HIGHEST


def test_edges_are_softened_by_the_finer_picture():
    fine = FRAME.finer(1.5)
    picture = torch.zeros(fine.shape)
    picture[: fine.shape[0] // 2 + 1] = 1000
    scan = scan_body(picture, FRAME, Draws(2))
    between = (scan.mean((1, 2)) > 150) & (scan.mean((1, 2)) < 850)
    assert bool(between.any())

"""On a GPU: labels as on the CPU. Without one nothing of this runs; benchmarks/gpu_check.py asks for it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from openvista.inference.device import plan_compute
from openvista.model import Model
from openvista.network import build
from openvista.weights import ModelCard
from small_inference import FLOAT32, TINY, make_scan
from small_sessions import AFFINE, SHAPE

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")]
CLASSES = (1, 3, 5)


def model_on(compute):
    network = build(TINY, seed=3)
    with torch.no_grad():
        network.class_head.linear2.weight *= 5
    return Model(network.eval(), ModelCard.from_preset(TINY, name="tiny", classes=CLASSES), compute)


@pytest.mark.parametrize(("precision", "alike"), [("float32", 0.9995), ("float16", 0.99), ("bfloat16", 0.95)])
@pytest.mark.parametrize("mode", ["smooth", "exact"])
def test_labels_are_those_of_the_cpu(precision, alike, mode):
    """A random network of four channels has boundaries everywhere: half precision moves more than in a trained one."""
    scan = make_scan(SHAPE, AFFINE)
    here = model_on(FLOAT32).segment(scan, mode=mode).labels
    there = model_on(plan_compute("cuda", precision)).segment(scan, mode=mode).labels
    assert len(np.unique(here)) > 1
    assert (here == there).mean() >= alike


def test_nothing_is_left_on_the_gpu():
    model, scan = model_on(plan_compute("cuda", "float16")), make_scan(SHAPE, AFFINE)
    model.segment(scan)
    before = torch.cuda.memory_allocated()
    model.segment(scan)
    assert torch.cuda.memory_allocated() == before


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("cuda_graphs", [False, True])
def test_batches_and_recorded_launches_change_nothing_but_rounding(batch, cuda_graphs):
    plain = model_on(plan_compute("cuda", "float16")).network
    other = model_on(replace(plan_compute("cuda", "float16"), cuda_graphs=cuda_graphs)).network
    windows, other.batch = torch.rand((7, *TINY.window), generator=torch.Generator().manual_seed(1)), batch
    for found, window in zip(list(other.stream(windows)), windows, strict=True):
        expected = plain.features(window).float()
        assert (found.float() - expected).norm() / expected.norm() < 0.01

import logging
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from openvista.errors import DeviceError
from openvista.inference.device import (
    Compute,
    cpu_has_bfloat16,
    find_device,
    logits_of,
    plan_batch,
    plan_compute,
    plan_slab_rows,
    plan_storage,
    training_precision,
)
from openvista.memory import free_memory
from openvista.network import VISTA3D

CPU = torch.device("cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a CUDA GPU")
@pytest.mark.parametrize("name", ["cuda", "cuda:1"])
def test_an_absent_gpu_is_one_line_with_a_remedy(name):
    with pytest.raises(
        DeviceError, match=f"{name} was asked for but torch sees 0 CUDA GPUs; use --device cpu"
    ) as caught:
        plan_compute(name)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="has an Apple GPU")
def test_an_absent_apple_gpu_is_an_error():
    with pytest.raises(DeviceError, match="mps was asked for"):
        find_device("mps")


@pytest.mark.parametrize("name", ["gpu", "", "cuda:x", "xpu", "meta"])
def test_unknown_devices_are_errors(name):
    with pytest.raises(DeviceError, match="use auto, cpu, cuda"):
        find_device(name)


def test_float32_computes_and_stores_in_float32():
    assert plan_compute("cpu", "float32") == Compute(CPU, torch.float32, torch.float32)


def test_auto_uses_what_the_cpu_has():
    compute = plan_compute("cpu", "auto")
    assert compute.dtype == (torch.bfloat16 if cpu_has_bfloat16() else torch.float32)
    assert compute.storage_dtype == torch.float16
    assert compute.channels_last


@pytest.mark.parametrize(
    ("gpu", "capability", "precision"),
    [
        ("V100", (7, 0), "float16"),
        ("T4", (7, 5), "float16"),
        ("A100", (8, 0), "bfloat16"),
        ("H200", (9, 0), "bfloat16"),
    ],
)
def test_training_takes_float16_where_a_gpu_only_imitates_bfloat16(monkeypatch, gpu, capability, precision):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: True)  # as torch says
    assert training_precision(torch.device("cuda:0")) == precision


def test_training_elsewhere_takes_bfloat16_or_float32():
    assert training_precision(CPU) == ("bfloat16" if cpu_has_bfloat16() else "float32")
    assert training_precision(torch.device("mps")) == "float32"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/cpuinfo")
def test_bfloat16_is_found_as_the_system_lists_it():
    flags = set(Path("/proc/cpuinfo").read_text().split())
    assert cpu_has_bfloat16() == bool(flags & {"amx_bf16", "avx512_bf16"})


@pytest.mark.parametrize(
    ("precision", "message"), [("float16", "float16 is not supported on a CPU"), ("half", "no precision 'half'")]
)
def test_precisions_a_cpu_lacks_are_errors(precision, message):
    with pytest.raises(DeviceError, match=message):
        plan_compute("cpu", precision)


def test_the_plan_is_said_in_the_log(caplog):
    with caplog.at_level(logging.INFO, logger="openvista"):
        plan_storage(plan_compute("cpu", "float32"), 1_500_000_000)
    assert "computing on cpu, float32 network, float32 storage" in caplog.text
    assert "active slab 1.50 GB on cpu" in caplog.text


def test_a_slab_larger_than_memory_is_refused():
    if free_memory(CPU) is None:
        pytest.skip("this system does not say how much memory is free")
    with pytest.raises(DeviceError, match="ask for fewer classes"):
        plan_storage(plan_compute("cpu", "float32"), 10**15)


def test_rows_labelled_at_once_fit_what_is_free(caplog):
    caplog.set_level(logging.INFO)
    cpu = torch.device("cpu")
    free = free_memory(cpu)
    assert plan_slab_rows(cpu, 1000, 48) == 48
    assert 1 <= plan_slab_rows(cpu, free // 40, 48) <= 5
    assert plan_slab_rows(cpu, 2 * free, 48) == 1
    assert "rows at once" in caplog.text


@pytest.mark.parametrize("classes", [3, 43, 117])
def test_logits_are_the_dot_products_to_the_last_bit(classes):
    random = torch.Generator().manual_seed(classes)
    channels_NC, embeddings_KC = (torch.randn(count, 48, generator=random) for count in (3000, classes))
    assert torch.equal(logits_of(channels_NC, embeddings_KC), channels_NC @ embeddings_KC.T)


@pytest.mark.parametrize(
    ("window", "free_gb", "batch"),
    [(128, 80, 4), (128, 12, 3), (128, 2, 1), (128, 0.1, 1), (48, 80, 75), (192, 80, 1)],
)
def test_a_gpu_gets_what_keeps_it_busy_and_fits_half_of_its_memory(monkeypatch, window, free_gb, batch):
    monkeypatch.setattr("openvista.inference.device.free_memory", lambda device: int(free_gb * 1e9))
    preset = replace(VISTA3D, window=(window,) * 3)
    assert plan_batch(Compute(torch.device("cuda"), torch.float16, torch.float16), preset) == batch
    assert plan_batch(Compute(CPU, torch.float32, torch.float32), preset) == 1, "a CPU takes one"

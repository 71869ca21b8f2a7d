"""Memory of this machine, asked of the system and seen from outside of the process."""

import platform
import subprocess
import sys

import pytest

from openvista.memory import left_in_container


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_a_retained_heap_is_faulted_in_once():
    script = """
import resource, sys
import numpy
from openvista.memory import retain_heap
assert not sys.argv[1:] or retain_heap()
for repeat in range(6):
    if repeat == 2:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    numpy.empty(80_000_000, numpy.uint8).fill(1)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    counts = [
        int(subprocess.run([sys.executable, "-c", script, *flag], capture_output=True, check=True, text=True).stdout)
        for flag in ([], ["retain"])
    ]
    assert counts[1] < counts[0] / 4


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_what_a_retained_heap_has_kept_is_given_back_when_released():
    script = """
from pathlib import Path
import numpy
from openvista.memory import release_heap, retain_heap
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 // 2**20
assert retain_heap()
before = resident()
numpy.empty(200 * 2**20, numpy.uint8).fill(1)
print(resident() - before)
assert release_heap()
print(resident() - before)
"""
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True).stdout
    kept, left = map(int, told.split())
    assert kept > 180
    assert left < 20


def test_files_in_the_cache_of_a_container_are_no_used_memory(tmp_path):
    assert left_in_container(tmp_path) is None
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("900\n")
    assert left_in_container(tmp_path) is None
    (tmp_path / "memory.max").write_text("1000\n")
    assert left_in_container(tmp_path) == 100
    (tmp_path / "memory.stat").write_text("anon 300\nactive_file 10\ninactive_file 590\n")
    assert left_in_container(tmp_path) == 690

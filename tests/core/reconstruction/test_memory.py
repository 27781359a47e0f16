from __future__ import annotations

import resource
import subprocess
import sys

import pytest

CODE = """
import resource, sys
import torch
from restoration_core.reconstruction import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
def work():
    for _ in range(20):
        torch.ones(16 * 2**20)  # 64 MiB: above every threshold that the allocator would choose by itself
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(mode: str) -> int:
    """Pages that the kernel had to bring in for twenty tensors, after as many before."""
    done = subprocess.run([sys.executable, "-c", CODE, mode], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
@pytest.mark.slow
def test_kept_memory_is_used_again_without_asking_the_system() -> None:
    tensors, bytes_each = 20, 64 * 2**20
    touched = tensors * bytes_each // resource.getpagesize()
    assert page_faults("default") > touched / 1024  # huge pages may stand for 512 small ones
    assert page_faults("kept") < page_faults("default") / 10

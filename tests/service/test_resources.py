"""The CPUs and the memory that this process may use: quotas, bounds, and memory given back."""

import asyncio
import os
import subprocess
import sys

import pytest

from service import app as app_module
from service.resources import cpu_count, memory_limit, release_free_memory, resident_bytes
from tests.conftest import REPOSITORY
from tests.serving import until


@pytest.fixture
def system(tmp_path, monkeypatch):
    """Return a root with these files, on a host of 64 processors."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))

    def make(**files: str):
        for path, text in files.items():
            file = tmp_path / path.replace("__", "/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return tmp_path

    return make


def write(root, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


@pytest.mark.parametrize(
    ("quota", "count"), [("max 100000", 64), ("200000 100000", 2), ("150000 100000", 2), ("50000 100000", 1)]
)
def test_a_quota_of_cgroup_v2_counts_rounded_up(system, quota, count):
    root = system(proc__self__cgroup="0::/\n")
    write(root, "sys/fs/cgroup/cpu.max", f"{quota}\n")
    assert cpu_count(root) == count


def test_the_tightest_of_nested_groups_counts(system):
    root = system(proc__self__cgroup="0::/pod/app\n")
    write(root, "sys/fs/cgroup/pod/app/cpu.max", "800000 100000")
    write(root, "sys/fs/cgroup/pod/cpu.max", "300000 100000")
    assert cpu_count(root) == 3


def test_a_group_that_is_not_mounted_leaves_the_mounts_own_root(system):
    root = system(proc__self__cgroup="0::/kubepods/of-the-host\n")
    write(root, "sys/fs/cgroup/cpu.max", "400000 100000")
    assert cpu_count(root) == 4


@pytest.mark.parametrize(("quota", "count"), [("-1", 64), ("250000", 3)])
def test_a_quota_of_cgroup_v1_counts(system, quota, count):
    root = system(proc__self__cgroup="4:cpu,cpuacct:/box\n3:memory:/box\n")
    write(root, "sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_quota_us", quota)
    write(root, "sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_period_us", "100000")
    assert cpu_count(root) == count


def test_affinity_counts_where_it_is_smaller(system, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5})
    root = system(proc__self__cgroup="0::/\n")
    write(root, "sys/fs/cgroup/cpu.max", "400000 100000")
    assert cpu_count(root) == 1


def test_a_system_without_control_groups_has_its_affinity(system):
    assert cpu_count(system()) == 64


LINUX = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux, where the system says and bounds it")


@LINUX
def test_freed_memory_goes_back_to_the_system():
    """In a process of its own: bodies that grow piece by piece, side by side, leave gaps that glibc keeps."""
    code = (
        "from service.resources import release_free_memory, resident_bytes\n"
        "bodies = [bytearray() for _ in range(40)]\n"
        "for _ in range(150):\n"
        "    for body in bodies:\n"
        "        body.extend(bytes(50_000))\n"
        "full = resident_bytes()\n"
        "bodies.clear()\n"
        "release_free_memory()\n"
        "print(full, resident_bytes())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    full, after = map(int, done.stdout.split())
    assert full > 250_000_000
    assert after < full / 3


def test_a_service_gives_back_once_much_has_been_added(make_client, monkeypatch):
    released, held = [], iter([0, 10, 10, 64 << 20])
    monkeypatch.setattr(app_module, "_MEMORY_CHECK_S", 0.02)
    monkeypatch.setattr(app_module, "resident_bytes", lambda: next(held, 64 << 20))
    monkeypatch.setattr(app_module, "release_free_memory", lambda: released.append(1))
    client = make_client()

    def is_given() -> bool:
        client.get("/healthz")
        return bool(released)

    until(is_given)
    asyncio.run(asyncio.sleep(0.2))
    assert released == [1]  # not again and again


@LINUX
def test_memory_of_one_step_is_bounded_and_the_bound_ends():
    code = (
        "from service.resources import memory_limit\n"
        "try:\n"
        "    with memory_limit(100_000_000):\n"
        "        bytes(50_000_000)\n"
        "        print('small')\n"
        "        bytes(500_000_000)\n"
        "except MemoryError:\n"
        "    print('refused')\n"
        "print(len(bytes(500_000_000)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["small", "refused", "500000000"]


def test_the_two_do_no_harm_anywhere():
    release_free_memory()
    assert resident_bytes() >= 0
    with memory_limit(1 << 40):
        pass

"""The processor count: affinity, and the quota of the control group and of those above it."""

import os

import pytest

from service.resources import cpu_count


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

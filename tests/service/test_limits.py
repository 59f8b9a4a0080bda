"""Memory: bounded where it must be, and given back."""

import asyncio
import subprocess
import sys

import pytest

from service import app as app_module
from service.resources import memory_limit, release_free_memory, resident_bytes
from tests.conftest import REPOSITORY

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
    given, held = [], iter([0, 10, 10, 64 << 20])
    monkeypatch.setattr(app_module, "_TIDY_S", 0.02)
    monkeypatch.setattr(app_module, "resident", lambda: next(held, 64 << 20))
    monkeypatch.setattr(app_module, "release_free_memory", lambda: given.append(1))
    client = make_client()
    for _ in range(100):
        if given:
            break
        client.get("/healthz")
        asyncio.run(asyncio.sleep(0.01))
    asyncio.run(asyncio.sleep(0.2))
    assert given == [1]  # not again and again


@LINUX
def test_what_one_step_may_add_is_bounded_and_the_bound_goes_with_it():
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

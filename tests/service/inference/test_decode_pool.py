"""The decode threads: order, busy time, and an end that waits for no thread that hangs."""

import threading
import time

from service.inference.decode_pool import DecodePool
from tests.serving import PATIENCE


def test_submit_one_thread_keeps_order():
    """Functions run in the order of their submission."""
    pool, order, done = DecodePool(1), [], threading.Event()
    for number in range(5):
        pool.submit(lambda number=number: order.append(number))
    pool.submit(done.set)
    assert done.wait(PATIENCE)
    assert order == [0, 1, 2, 3, 4]
    pool.close()


def test_longest_busy_s_counts_busy_threads_only():
    """A thread is busy inside ``busy``, and idle before and after; of several, the longest counts."""
    pool, entered, leave = DecodePool(2), threading.Semaphore(0), threading.Event()

    def work() -> None:
        with pool.busy():
            entered.release()
            leave.wait(PATIENCE)

    assert pool.longest_busy_s() == 0.0
    pool.submit(work)
    assert entered.acquire(timeout=PATIENCE)
    time.sleep(0.05)
    first = pool.longest_busy_s()
    assert first >= 0.05
    pool.submit(work)
    assert entered.acquire(timeout=PATIENCE)
    assert pool.longest_busy_s() > first
    leave.set()
    pool.close()
    assert pool.longest_busy_s() == 0.0


def test_close_leaves_a_hanging_thread_behind(monkeypatch):
    """A decoder that never returns must not keep the service from stopping."""
    monkeypatch.setattr("service.inference.decode_pool._CLOSE_TIMEOUT_S", 0.05)
    pool, hang = DecodePool(1), threading.Event()
    pool.submit(lambda: hang.wait(PATIENCE) and None)
    pool.close()
    (thread,) = pool._threads
    assert thread.is_alive()
    hang.set()
    thread.join()

"""Readiness: whether the loaded model can answer now."""

import asyncio
import threading
from contextlib import suppress

from service.inference.scorer import Scorer

_PROBE_TIMEOUT_S = 1.0


class Readiness:
    """Answers ``GET /readyz`` for one scorer, beside its queue.

    Args:
        scorer: with the model.
    """

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self._probe: asyncio.Future[bool] | None = None

    async def problem(self) -> str | None:
        """Return why the model cannot answer, within a second; None where it can.

        It cannot where a thread has been busy with one picture or run for longer than the deadline. Where the last
        inference failed, the model runs once more, one run for all requests that ask meanwhile.
        """
        deadline_s = self._scorer.capacity.deadline_s
        if self._scorer.pool.longest_busy_s() > deadline_s:
            return f"a thread has been busy with one picture or run for longer than the deadline of {deadline_s:g} s"
        if not self._scorer.run_failed:
            return None
        if self._probe is None:
            probe: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            threading.Thread(target=self._try_again, args=(probe,), name="probe", daemon=True).start()
            self._probe = probe  # only now: the system may have no thread left
        probe = self._probe
        await asyncio.wait({probe}, timeout=_PROBE_TIMEOUT_S)
        if not probe.done():
            return "the last inference failed, and a new try has not ended yet"
        return None if probe.result() else "the last inference failed, and so did a new try"

    def _try_again(self, probe: "asyncio.Future[bool]") -> None:
        try:
            self._scorer.warm_up()
        except Exception:  # whatever it is, those who ask must learn of it
            works = False
        else:
            works = True
        with suppress(RuntimeError):  # the loop is closed
            probe.get_loop().call_soon_threadsafe(self._set_result, probe, works)

    def _set_result(self, probe: "asyncio.Future[bool]", works: bool) -> None:
        self._scorer.run_failed, self._probe = not works, None
        probe.set_result(works)

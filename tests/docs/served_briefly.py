"""``served_briefly.py COMMAND...``: run a server on ``SERVICE_PORT``, and stop it once it is ready, with its status."""

import os
import signal
import subprocess
import sys
import time

from tests.serving import PATIENCE, request

process = subprocess.Popen(sys.argv[1:], start_new_session=True)
url = f"http://127.0.0.1:{os.environ['SERVICE_PORT']}/readyz"
end = time.monotonic() + PATIENCE
while request(url)[0] != 200 and process.poll() is None and time.monotonic() < end:
    time.sleep(0.1)
ready = process.poll() is None and request(url)[0] == 200
if process.poll() is None:
    os.killpg(process.pid, signal.SIGTERM)
status = process.wait(PATIENCE)
if not ready:
    sys.exit(status or 1)
sys.exit(0 if status == -signal.SIGTERM else status)  # make itself ends by the signal

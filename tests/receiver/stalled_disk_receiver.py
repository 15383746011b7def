"""A receiver whose disk stands still while a file named `stall` is in its state directory.

`python -m tests.receiver.stalled_disk_receiver`, like `python -m receiver`: no real disk hangs on demand.
"""

import os
import time
from typing import Any

from receiver.config import ReceiverSettings
from receiver.landing.local import LocalLandingStore
from receiver.landing.segment import Disk
from receiver.serve import serve


def load(settings: ReceiverSettings) -> Any:
    from receiver.worker import bridge

    def sync(fd: int) -> None:
        while (settings.home / "stall").exists():
            time.sleep(0.01)
        os.fdatasync(fd)

    return bridge(settings, LocalLandingStore(settings.home / "landing", disk=Disk(sync=sync)))


if __name__ == "__main__":
    serve(load=load)

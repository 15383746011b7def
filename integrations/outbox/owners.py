"""Who holds a claim: a process that others on the same machine can see to be gone. No database here."""

import os
import uuid
from functools import lru_cache
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")


def new_owner() -> str:
    """A name for one pass: the machine and its process namespace, the process and its start, and a chance part."""
    return f"{_machine()}/{os.getpid()}.{_started(os.getpid())}/{uuid.uuid4().hex[:12]}"


def is_gone(owner: str) -> bool:
    """True if the owner was a process of this machine that runs no more; False if nobody here can know."""
    machine, _, rest = owner.rpartition("/")[0].rpartition("/")
    pid, _, started = rest.partition(".")
    if machine != _machine() or not machine or not pid.isdecimal() or not started:
        return False
    return _started(int(pid)) != started


@lru_cache(maxsize=1)
def _machine() -> str:
    # Two containers of one machine do not see each other's processes.
    try:
        return f"{_BOOT.read_text().strip()}/{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return ""


def _started(pid: int) -> str:
    """When a process started, in ticks since the boot; empty if there is none, or it has ended already."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    # A killed process that nobody has waited for yet is still listed.
    return "" if fields[0] in "ZX" else fields[19]

"""Recovery: what a platform's list API knows and no webhook told.

One small file a platform says how its API lists calls and how a listed call becomes the body of its webhooks;
`listing.py` asks, `standing.py` compares, `landing.py` lands, `recover.py` is the whole. How Dagster and the command
line show it belongs to `orchestration/defs/assets/` and `orchestration/cli/`.
"""

from orchestration.recovery.atoms import Atoms
from orchestration.recovery.bland import Bland
from orchestration.recovery.elevenlabs import ElevenLabs
from orchestration.recovery.platform import Platform
from orchestration.recovery.retell import Retell
from orchestration.recovery.vapi import Vapi

__all__ = ["PLATFORMS", "Platform"]

PLATFORMS: dict[str, Platform] = {
    platform.name: platform for platform in (Atoms(), Bland(), ElevenLabs(), Retell(), Vapi())
}

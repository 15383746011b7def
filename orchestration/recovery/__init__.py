"""Recovery: finds calls whose webhooks were lost, in the platforms' list APIs, and lands them.

One small file per platform says how its API lists calls and how a listed call becomes the body of its webhooks.
`listed_calls.py` lists, `reconciliation.py` compares, `write_events.py` lands, `recover.py` does all three.
`orchestration/defs/assets/` and `orchestration/cli/` show the results.
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

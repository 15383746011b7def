"""The voice platforms the receiver understands, by the name in `/webhooks/<source>`.

A new platform is a new file here and a line in `SOURCES`. What an event means beyond its envelope does not
belong here.
"""

from receiver.sources.atoms import Atoms
from receiver.sources.base import Source
from receiver.sources.generic import Generic
from receiver.sources.livekit import LiveKit
from receiver.sources.synthflow import Synthflow
from receiver.sources.telnyx import Telnyx
from receiver.sources.twilio import Twilio
from receiver.sources.ultravox import Ultravox

__all__ = ["SOURCES", "Source"]

SOURCES: dict[str, Source] = {
    source.name: source
    for source in (Atoms(), Generic(), LiveKit(), Synthflow(), Telnyx(), Twilio(), Ultravox())
}

"""Creates what a worker process serves: the application in its bridge. Processes belong to `receiver.serve`."""

from receiver import logs
from receiver.app import create_app
from receiver.bridge import Bridge
from receiver.config import ReceiverSettings
from receiver.landing import LandingStore, free_bytes_of, open_landing
from receiver.metrics import Metrics


def load(settings: ReceiverSettings) -> Bridge:
    """The receiver of the settings; called once per worker process."""
    store = open_landing(settings.landing, settings.landing_segment_bytes, settings.landing_min_free_bytes)
    return bridge(settings, store)


def bridge(settings: ReceiverSettings, landing: LandingStore) -> Bridge:
    """The receiver with the given landing store."""
    log = logs.configure()
    metrics = Metrics(free_bytes_of(landing))
    return Bridge(create_app(settings, landing, metrics), landing, settings, metrics, log)

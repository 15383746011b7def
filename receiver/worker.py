"""What a worker process serves: the application and its bridge. How processes run belongs to `receiver.serve`."""

from receiver import logs
from receiver.app import create_app
from receiver.bridge import Bridge
from receiver.config import ReceiverSettings
from receiver.landing import LandingStore, free_bytes_of, open_landing
from receiver.metrics import Metrics


def load(settings: ReceiverSettings) -> Bridge:
    """The receiver; called once in each worker process."""
    store = open_landing(settings.landing, settings.landing_segment_bytes, settings.landing_min_free_bytes)
    return bridge(settings, store)


def bridge(settings: ReceiverSettings, landing: LandingStore) -> Bridge:
    """The receiver over a landing store."""
    log = logs.configure()
    metrics = Metrics(free_bytes_of(landing))
    return Bridge(create_app(settings, landing, metrics), landing, settings, metrics, log)

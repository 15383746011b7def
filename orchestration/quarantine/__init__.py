"""Events that alone break the build: finding them, setting them aside so that the rest goes on, bringing them back.

The load and the alerts see only which events are set aside (`orchestration/load/quarantined.py`).
"""

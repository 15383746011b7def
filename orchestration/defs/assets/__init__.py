"""Dagster assets, in the order of the flow: landing, raw, models, channels, outcomes, published.

Each module only wraps a function of `orchestration/` (`load/`, `build`, `act`, `publish`) and says as metadata
what it did.
"""

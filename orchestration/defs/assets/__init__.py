"""Dagster assets, in the order of the flow: landing, raw, models, channels, outcomes, published.

Each module wraps functions of `load/`, `warehouse/`, `recovery/` or `tools/`, and reports their results as metadata.
"""

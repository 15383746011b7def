"""Asset checks. What they look for belongs to `orchestration/monitoring/`."""

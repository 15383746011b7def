"""Dagster's nouns: assets, checks, jobs, sensors, schedules, partitions, resources. Machinery belongs elsewhere."""

"""The third floor: Dagster's nouns, the dlt load, the dbt build, and the CLI that ties everything together.

What an event means belongs to `dbt_project/`; how another system is reached belongs to `integrations/`.
"""

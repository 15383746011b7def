"""From the landing store and the outbox into the warehouse's raw tables, by dlt.

A module here may not know what an event means (that is `dbt_project/`), nor anything of Dagster.
"""

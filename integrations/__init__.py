"""Floor 2: other systems. The outbox, and behind it one folder per channel.

What belongs here: carrying out actions that somebody else decided on. What does not: deciding what is due
(that is SQL, in the dbt project), the warehouse, and anything of Dagster, dlt or dbt.
"""

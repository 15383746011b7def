"""The third floor: Dagster's nouns, the dlt load, the dbt build, and the CLI that ties everything together.

What an event means belongs to `dbt_project/`; how another system is reached belongs to `integrations/`.
"""

from receiver import private

# here, since `dagster dev` by hand, its daemon and each run import this and little else of ours
private.keep_new_files_private()

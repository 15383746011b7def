"""A change of rule, tried on history before it acts: the same events built twice, and what differs.

This package never writes the warehouse, the published copy or the outbox. `scratch` holds the trial, `compare`
compares two builds; `dbt_project/` holds the rules.
"""

from orchestration.tools.whatif.run import Change, NothingToCompare, Report, Step, try_out

__all__ = ["Change", "NothingToCompare", "Report", "Step", "try_out"]

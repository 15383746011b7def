"""A change of rule, tried on history before it acts: the same events built twice, and what differs.

Nothing here writes the warehouse, the published copy or the outbox. `scratch` is where it is tried, `compare` how two
builds are told apart; what a rule is belongs to `dbt_project/`.
"""

from orchestration.tools.whatif.run import Change, NothingToCompare, Report, Step, try_out

__all__ = ["Change", "NothingToCompare", "Report", "Step", "try_out"]

"""How aftercall runs Dagster: instance, launcher, pools, history. No other folder imports Dagster's private modules."""

"""How Dagster runs here: launcher, instance, history. The only room that may import Dagster's private modules."""

"""Pure functions from results to results. Nothing here imports torch."""

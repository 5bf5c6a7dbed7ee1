"""How well it works: metrics, readers of public data sets, searches of thresholds, comparisons, the report."""

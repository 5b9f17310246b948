"""Is a configuration better, by how much, is that much enough to matter, and would it be again?

`comparisons` holds what is said of every score: differences to the baseline, paired by repeat. The other modules speak
of the headline scores only (`names.HEADLINES`): `scores` gathers them, `practical` and `images` look at one
configuration beside the baseline, `winner` and `ranks` at all of them at once.
"""

from pipelines.report.statistics.comparisons import Comparison, caveat, compare, comparison_table, smallest_wilcoxon_p

__all__ = ["Comparison", "caveat", "compare", "comparison_table", "smallest_wilcoxon_p"]

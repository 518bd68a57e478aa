"""The printed numbers of Zhu et al. 2019, ours beside them, and what the paper leaves open or contradicts."""

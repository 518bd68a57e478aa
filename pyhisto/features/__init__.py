"""Hand-crafted texture features and the classifiers on them: the method of Spanhol et al. 2015 (ref. [9])."""

"""Command-line programs, one verb a file; installed as pyhisto.tools, which is what `pyhisto VERB` runs."""

"""What a stage of a study may be, as stage.json and a config say it. Imports nothing."""

METHOD = "channel pruning"
DNS = "DNS"
JOINT = "channel pruning + DNS"
TRAINING = "training alone"
"""The control: nothing is compressed, and trained on like the others."""
STARTED = "training from weights"
"""Nothing is compressed: trained as the first network was, but from given weights."""

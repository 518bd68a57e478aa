"""Proof that what was made of a network computes what the network computes: both are run on random inputs."""

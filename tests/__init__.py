"""Tests, and the modules that they share: `from tests.networks import random_weights`."""

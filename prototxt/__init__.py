"""The program that generates networks, installed as pyhisto.prototxt, and beside it what it generated."""

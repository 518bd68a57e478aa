"""The tree of two-class networks of Kone & Boulmane 2018: its nodes, its decisions, its scores and their report."""

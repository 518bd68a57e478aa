"""A study: a results folder, its scores, and the tables, figures and report that are made of them."""

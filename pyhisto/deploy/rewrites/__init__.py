"""One rewrite a file: a function of a form to a form and a line for each place that it changed.

Each says what stands Before and After it, under which Conditions, and from where that is known. All are exact but for
rounding; `prove` runs the first form and the last.
"""

"""The deploy form that a tool chain accepts (`chains`), by proved rewrites (`rewrites`), with what is left to know."""

"""`python -m pyhisto`: the command `pyhisto`."""

from pyhisto.verbs import main

if __name__ == "__main__":
    main()

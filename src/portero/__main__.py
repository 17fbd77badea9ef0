"""`python -m portero` is the command `portero`."""

from portero.cli import main

if __name__ == "__main__":
    main()

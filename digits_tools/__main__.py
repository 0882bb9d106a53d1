"""`python -m digits_helpers` does what the command `digits` does."""

from digits_helpers.cli import main

if __name__ == "__main__":
    main()

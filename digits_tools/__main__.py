"""`python -m digits_tools` does what the command `digits` does."""

from digits_tools.cli import main

if __name__ == "__main__":
    main()

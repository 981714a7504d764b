"""`python -m regesta`: the command line."""

from regesta_command import main

if __name__ == "__main__":
    main()

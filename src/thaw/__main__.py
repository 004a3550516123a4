"""python -m thaw: the command thaw."""

from thaw.cli.main import main

if __name__ == "__main__":
    main()

"""report: the table of all runs, learning curves, confusion matrices and what the runs cost."""

from thaw.params import load, run
from thaw.reporting.publication import write_report


def main():
    write_report(load())


if __name__ == "__main__":
    run(main)

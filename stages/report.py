"""report: the table of all runs, what the runs show, and what they cost."""

from thaw.base.errors import run_program
from thaw.config.loading import load
from thaw.reporting.publication import write_report


def main() -> None:
    params = load()
    write_report(params, params.image.size)


if __name__ == "__main__":
    run_program(main)

"""The command thaw; `./run demo` and `./run preset` are two of its commands by a shorter name."""

import argparse
import sys

from thaw.base.errors import run_program


def main() -> None:
    """Run the command that the words of the command line name; a fault is one line and status 1."""
    run_program(_run)


def _run() -> None:
    # `python -m thaw`, as `./run` has it, stands there as a path ending in __main__.py.
    parser = argparse.ArgumentParser(prog="./run thaw" if sys.argv[0].endswith("__main__.py") else "thaw")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("best", help="the best run on validation, how sure that is, and how to get it")
    review = commands.add_parser("review", help="what changed between two commits, as Markdown")
    review.add_argument("base", metavar="BASE", help="a commit, branch or tag")
    review.add_argument("head", metavar="HEAD", nargs="?", help="another; without it the work tree as it is")
    commands.add_parser("demo", help="the whole pipeline on drawn flowers, offline")
    preset = commands.add_parser(
        "preset", help="a table of presets/, in a workspace of its own; without a name, their names"
    )
    preset.add_argument("arguments", metavar="NAME [keep | DVC COMMAND]", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    # Imported here, because each takes a second to load.
    if arguments.command == "best":
        from thaw.cli.best import print_best

        print_best()
    elif arguments.command == "review":
        from thaw.cli.reviewing.review import print_review

        sys.exit(not print_review(arguments.base, arguments.head))
    elif arguments.command == "demo":
        from thaw.cli.demo import run_demo

        run_demo()
    else:
        from thaw.cli.preset import use_preset

        use_preset(arguments.arguments)

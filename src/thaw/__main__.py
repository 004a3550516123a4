"""./run thaw COMMAND: what there is to ask about results."""

import argparse
import sys

from thaw.params import run


def main():
    parser = argparse.ArgumentParser(prog="./run thaw")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("best", help="the best run on validation, how sure that is, and how to get it")
    review = commands.add_parser("review", help="what changed between two commits, as Markdown")
    review.add_argument("base", metavar="BASE", help="a commit, branch or tag")
    review.add_argument("head", metavar="HEAD", nargs="?", help="another; without it the work tree as it is")
    arguments = parser.parse_args()
    # Here, because each takes seconds to load.
    if arguments.command == "best":
        from thaw.best import print_best

        print_best()
    else:
        from thaw.reviewing.review import print_review

        sys.exit(not print_review(arguments.base, arguments.head))


if __name__ == "__main__":
    run(main)

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
    show = commands.add_parser("show", help="every run and what experiments made of it, in one table")
    forms = show.add_mutually_exclusive_group()
    forms.add_argument("--md", dest="form", action="store_const", const="md", default="text", help="as Markdown")
    forms.add_argument("--csv", dest="form", action="store_const", const="csv", help="all digits, as CSV")
    fresh = commands.add_parser("new", help="a params.yaml for a folder of photos, its table scaled to the set")
    fresh.add_argument("photos", metavar="PHOTOS", help="a folder with a folder of photos for each class")
    advise = commands.add_parser("advise", help="what to unfreeze for a folder of photos, in minutes")
    advise.add_argument("photos", metavar="PHOTOS", help="a folder with a folder of photos for each class")
    advise.add_argument("--budget", metavar="MINUTES", help="what it may take, about (default: what it takes)")
    predict = commands.add_parser("predict", help="what the best run, another one or an export says of photos")
    predict.add_argument("photos", metavar="PHOTO | FOLDER | -", nargs="*", help="-: standard input has paths")
    predict.add_argument("--run", metavar="NAME", help="a run of the table; without it the best on validation")
    predict.add_argument("--model", metavar="FOLDER", help="an export in place of a run")
    predict.add_argument("--top", metavar="K", help="the K likeliest classes of each photo (default 1)")
    predict.add_argument("--batch", metavar="N", help="photos that are scored at once (default 32)")
    predict.add_argument("--json", action="store_true", help="a JSON object a line")
    predict.add_argument("--csv", action="store_true")
    predict.add_argument("--explain", metavar="OUT.png", help="a picture of what the run looks at in each photo")
    serve = commands.add_parser("serve", help="a page on this machine to try a run or an export with a photo")
    serve.add_argument("--run", metavar="NAME", help="a run of the table; without it the best on validation")
    serve.add_argument("--model", metavar="FOLDER", help="an export in place of a run")
    serve.add_argument("--port", metavar="PORT", default="8000", help="of 127.0.0.1 (default 8000)")
    review = commands.add_parser("review", help="what changed between two commits, as Markdown")
    review.add_argument("base", metavar="BASE", help="a commit, branch or tag")
    review.add_argument("head", metavar="HEAD", nargs="?", help="another; without it the work tree as it is")
    rate = commands.add_parser("find-rate", help="a learning rate for a run, from a short training in which it grows")
    rate.add_argument("run", metavar="RUN", help="a run of params.yaml")
    search = commands.add_parser("tune", help="settings of a run that are best on validation, searched by Optuna")
    search.add_argument("run", metavar="RUN", help="a run of params.yaml")
    search.add_argument("--trials", metavar="N", required=True, help="trainings, each an experiment of DVC")
    search.add_argument("--objective", metavar="SCORE", default="loss", help="loss (default) or accuracy")
    repro = commands.add_parser("repro", help="dvc repro with independent stages side by side")
    repro.add_argument("targets", metavar="TARGET", nargs="*", help="as dvc repro takes them; without one all stages")
    repro.add_argument("--jobs", metavar="N", help="stages at a time (default: processors / compute.threads)")
    repro.add_argument("--cluster", metavar="ADDRESS", help="of a scheduler of Dask whose workers run what they can")
    repro.add_argument("--force", action="store_true", help="run unchanged stages, too")
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
    elif arguments.command == "show":
        from thaw.cli.show import print_table

        print_table(arguments.form)
    elif arguments.command == "new":
        from thaw.cli.new import new

        new(arguments.photos)
    elif arguments.command == "advise":
        from thaw.cli.advise import advise as advise_on

        advise_on(arguments.photos, arguments.budget)
    elif arguments.command == "predict":
        from thaw.cli.predict import Asked, print_predictions

        asked = Asked(**{name: getattr(arguments, name) for name in Asked._fields})
        sys.exit(not print_predictions(arguments.photos, asked))
    elif arguments.command == "serve":
        from thaw.cli.serve import serve as serve_page

        serve_page(arguments.run, arguments.model, arguments.port)
    elif arguments.command == "review":
        from thaw.cli.reviewing.review import print_review

        sys.exit(not print_review(arguments.base, arguments.head))
    elif arguments.command == "find-rate":
        from thaw.cli.rates import print_rate

        print_rate(arguments.run)
    elif arguments.command == "tune":
        from thaw.cli.tuning import tune

        tune(arguments.run, arguments.trials, arguments.objective)
    elif arguments.command == "repro":
        from thaw.cli.repro import repro as reproduce

        sys.exit(not reproduce(arguments.targets, arguments.jobs, arguments.force, arguments.cluster))
    elif arguments.command == "demo":
        from thaw.cli.demo import run_demo

        run_demo()
    else:
        from thaw.cli.preset import use_preset

        use_preset(arguments.arguments)

"""The command line: one file a verb, as the pipeline has one file a process. Imports happen inside the verbs."""


def main() -> None:
    """Run the command line; the entry point ``wssamnet``."""
    from wssamnet.cli.app import run

    run()

"""Starting the processes that train together on this machine, as `torchrun` does, and ending as they end."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Sequence

from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch


def launch(count: int, command: Sequence[str]) -> int:
    """Run a command in `count` processes that can meet by `Processes.join`; when one fails, the others are ended.

    Args:
        count: of processes.
        command: the program and its words.

    Returns:
        the processes' exit status, or 128 + the number of the signal that ended one of them or this one.
    """
    logging.getLogger("torch.distributed").setLevel(logging.CRITICAL)  # the processes speak for themselves
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        logs_specs=DefaultLogsSpecs(),
        run_id="wssamnet",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        local_addr="localhost",
        max_restarts=0,
    )
    try:
        elastic_launch(config, command[0])(*command[1:])
    except ChildFailedError as failed:
        statuses = [failure.exitcode for failure in failed.failures.values()]
        # those that were ended because another one had ended say nothing
        own = [status for status in statuses if status != -signal.SIGTERM] or statuses
        if min(own) < 0:
            name = signal.Signals(-min(own)).name
            print(f"wssamnet: a process of the training was killed by {name}; the others were ended", file=sys.stderr)
            return 128 - min(own)
        return max(own)  # 85 is the largest: the state is saved
    except SignalException as ended:
        return 128 + int(ended.sigval)
    return 0

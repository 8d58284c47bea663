"""`yoga-train` as one worker of several, for the tests: it can be held in the middle of its second epoch.

Run by torchrun, or by path with WORKER (its environment, arguments and the file that takes its words) set.
"""

from __future__ import annotations

import os
import sys
import time
from datetime import timedelta
from pathlib import Path

import torch

WORKER = globals().get("WORKER", {"environment": {}, "arguments": sys.argv[1:], "words": ""})


def hold_second_epoch(hold: Path) -> None:
    """Wait at the second epoch's last step while the file `hold` is there; beside it a file says that we are there."""
    from yoga_live.train.fit.trainer import Trainer

    step = Trainer._step

    def wait_and_step(self: Trainer, *args: object) -> None:
        step(self, *args)  # type: ignore[arg-type]
        if self._done_epochs == 1 and hold.exists():
            hold.with_name(f"{hold.name}.{os.environ['NODE']}").touch()
            while hold.exists():
                time.sleep(0.02)

    Trainer._step = wait_and_step  # type: ignore[method-assign]


def main() -> int:
    if WORKER["words"]:
        words = os.open(WORKER["words"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(words, 1)
        os.dup2(words, 2)
    os.environ.update(WORKER["environment"])
    torch.set_num_threads(1)
    from yoga_live.train.cli.main import main as train
    from yoga_live.train.distributed import heartbeat, rendezvous

    if "HOLD" in os.environ:
        hold_second_epoch(Path(os.environ["HOLD"]))
    rendezvous.MEETING = timedelta(seconds=float(os.environ.get("MEETING_S", "300")))
    heartbeat.LOST_S = float(os.environ.get("LOST_S", "60"))
    heartbeat.GRACE_S = float(os.environ.get("GRACE_S", "15"))
    return train(WORKER["arguments"])


if __name__ == "__main__":
    sys.exit(main())

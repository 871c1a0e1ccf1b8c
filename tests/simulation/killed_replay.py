"""A replay in a process of its own, made to be killed: `python killed_replay.py DATA_DIR CONFIG`.

Prints `ready` when the engine has recovered, then plays as fast as it can and prints `finished`.
"""

from __future__ import annotations

import sys
import time

from gridlab.app.facade import GridLab
from gridlab.domain.snapshot import EngineState


def main(data_dir: str, config: str) -> None:
    with GridLab(data_dir, config=config, speed=0, first_bot="BTCUSDT") as lab:
        print("ready", flush=True)
        while lab.snapshot.state is EngineState.READY:
            time.sleep(0.005)
        print(lab.snapshot.state, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

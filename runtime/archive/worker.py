"""What each worker of a cluster does, with one model that is loaded once.  It knows nothing of the cluster."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from ..errors import ClusterError, OptionError, SourceError, YogaLiveError
from ..pipelines.annotate import AnnotateConfig
from ..system.item_failures import explain
from .scheduler import Answer, Failed, ObserveShard, OpenTask, SmoothTask, Task


@dataclass(frozen=True)
class WorkerConfig:
    """What a worker is told once.

    threads: for decoding and the network; config: how videos are annotated; summary: draw one of each; yoga_live: the
    version of who asks; poses: those that may be answered, None for all.
    """

    device: str
    threads: int
    config: AnnotateConfig
    summary: bool
    yoga_live: str
    poses: tuple[str, ...] | None = None


class ArchiveWorker:
    """Watches what it is told to."""

    def __init__(self) -> None:
        self._order: WorkerConfig | None = None

    def start(self, model: bytes, order: WorkerConfig) -> str:
        """Load the model.  model: the ONNX file's bytes.  Returns the device.  Raises YogaLiveError."""
        from importlib.metadata import version

        from ..classifier import PoseClassifier
        from ..core.opencv import cv2

        if (mine := version("yoga-live")) != order.yoga_live:
            raise ClusterError(
                f"a node has yoga-live {mine}, this machine {order.yoga_live}; install the same version on all machines"
            )
        cv2.setNumThreads(order.threads)
        with tempfile.TemporaryDirectory(prefix="yoga-live-") as folder:
            path = Path(folder) / "model.onnx"
            path.write_bytes(model)
            self._classifier = PoseClassifier(path, order.device, order.threads, poses=order.poses)
        self._order = order
        return self._classifier.engine.device

    def work(self, task: Task) -> Answer:
        """Do a task; what is wrong with its recording is an answer, not an error."""
        try:
            return self._work(task)
        except (SourceError, OptionError, OSError) as error:
            return Failed(str(error))
        except YogaLiveError:
            raise
        except Exception as error:  # noqa: BLE001 - no recording, however odd, may end the archive
            return Failed(f"unexpected, please report: {explain(error, task.video.path).reason}")

    def _work(self, task: Task) -> Answer:
        from .shards import finish_video, join_shards, observe_shard, plan_video

        assert self._order is not None, "start comes first"
        order, config, path = self._order, self._order.config, task.video.path
        title, is_flipped = path.name if order.summary else None, config.mounting.flip
        info = self._classifier.info if config.people == "off" else self._classifier.info_with_people
        if isinstance(task, ObserveShard):
            return observe_shard(self._classifier, path, config, task.shard, order.threads)
        if isinstance(task, SmoothTask):
            return finish_video(join_shards(task.observations), info, title, is_flipped=is_flipped)
        assert isinstance(task, OpenTask)
        shards = plan_video(path, config, order.threads)
        if len(shards) > 1:
            return shards
        seen = observe_shard(self._classifier, path, config, shards[0], order.threads)
        return finish_video(seen, info, title, is_flipped=is_flipped)

"""TensorBoard: what sslkit asks of every tracker, and what TensorBoard reads of it."""

from sslkit_tensorboard import TensorBoard
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sslkit.testing import conformance

test_tensorboard = conformance("trackers", "tensorboard")


def read(folder):
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    return {name: [(one.step, one.value) for one in events.Scalars(name)] for name in events.Tags()["scalars"]}


def test_what_tensorboard_reads(tmp_path):
    tracker = TensorBoard(tmp_path, 0)
    tracker(10, {"loss": 2.0, "lr": 0.5})
    tracker(20, {"loss": 1.0})
    tracker.close()
    assert read(tmp_path) == {"loss": [(10, 2.0), (20, 1.0)], "lr": [(10, 0.5)]}


def test_a_resume_takes_the_place_of_what_came_after_it(tmp_path):
    for start, steps in ((0, (10, 20, 30)), (15, (20, 30, 40))):
        tracker = TensorBoard(tmp_path, start)
        for step in steps:
            tracker(step, {"loss": start + step / 8})
        tracker.close()
    assert read(tmp_path) == {"loss": [(10, 1.25), (20, 17.5), (30, 18.75), (40, 20.0)]}

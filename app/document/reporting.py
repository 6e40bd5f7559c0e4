"""What is told of the program itself: the lines of a report, and the checks of `lorun self-test`."""

from __future__ import annotations

from ..job import Job
from ..quantities import plural
from ..resources import resource_path
from .lanes import Lanes
from .session import Session
from .wording import shown_step

REPORTED_LINES = 50  # of the log


def report_lines(session: Session) -> list[str]:
    """Device, shapes and the last lines of the log, for a report."""
    setup, state = session.setup, session.restoration
    titles = {device.name: device.title for device in setup.devices}
    lines = [f"device {setup.device} ({titles.get(setup.device, 'engine not loaded')}), decoder {setup.decoder_name}"]
    if session.role_table is not None:
        lines += [
            f"{row.role or 'unused'}: {' x '.join(map(str, row.shape))} {row.dtype}" for row in session.role_table.rows
        ]
    lines.append(f"decode: {state.state}, {state.done_stages} of {plural(state.num_stages, shown_step(session))}")
    return [*lines, "", *list(session.lanes.logged)[-REPORTED_LINES:]]


def run_self_test(lanes: Lanes) -> None:
    """Runs the checks of `lorun self-test` in the worker; every check is a line of the log."""

    def log(job: Job) -> None:
        for line in job.result:
            lanes.log(line)

    lanes.run(_self_test, doing="testing itself", then=log, is_asked_for=True)


def _self_test() -> list[str]:
    """One line for every check; for the worker thread."""
    from lorun_engine.cli.self_test import SELF_TESTS

    lines = []
    for title, check in SELF_TESTS.items():
        try:
            check(resource_path())
            lines.append(f"ok      {title}")
        except Exception as error:  # a self-test reports whatever broke, of any kind
            lines.append(f"FAILED  {title}: {type(error).__name__}: {error}")
    return lines

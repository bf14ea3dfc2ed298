"""The runs that ask one backend whether it contradicts itself, in one session and a second one.

Their order matters. The same batch comes first, at once again, after other values, after other shapes and at
the end, so that what a run leaves behind shows in the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from normdeploy.dtypes import Array
from normdeploy.errors import BackendFailure, ModelError
from normdeploy.validation.compare import TensorComparison
from normdeploy.validation.invariants.finding import Finding
from normdeploy.validation.invariants.questions import Questions
from normdeploy.validation.invariants.result import NAMES, Invariant, Name
from normdeploy.validation.invariants.rows import OutputRows
from normdeploy.validation.invariants.subject import ONE, PAIR
from normdeploy.validation.invariants.two_runs import Pick, same_bits

Arrays = Mapping[str, Array]

STEPS = 6
"""Of the questions to one backend, for those who are told how far they are."""

Run = Callable[[Arrays], Arrays]
"""Called with inputs, gives outputs. Raises BackendFailure."""


def examine(
    questions: Questions,
    backend: str,
    run: Run,
    run_with_extra_outputs: Run,
    *,
    is_right: bool,
    on_step: Callable[[], None] = lambda: None,
) -> list[Invariant]:
    """Ask one backend.

    Args:
        questions: what it is asked.
        backend: its name.
        run: runs the model in a session that is kept from call to call, or begun anew after a failure.
        run_with_extra_outputs: runs the model with inner tensors as further outputs.
        is_right: whether its numbers are right where the reference was asked before. Where they are not, the
            reference is not asked at other shapes.
        on_step: called `STEPS` times, or once where there is no answer to the first question.
    """
    examination = _Examination(questions, run)
    began = examination.begin()
    on_step()
    if began:
        examination.repeat("in a second run")
        examination.permute()
        on_step()
        examination.equal_rows()
        examination.repeat("after a run on other values")
        on_step()
        if examination.batch_sizes():
            examination.repeat("after runs on other batch sizes")
        on_step()
        if examination.corners(is_right):
            examination.repeat("after runs on other shapes")
        on_step()
        examination.extra_outputs(run_with_extra_outputs)
        on_step()
    return [finding.result(backend) for finding in examination.found.values()]


class _Examination:
    """One backend's session, and the answer to its first run."""

    def __init__(self, questions: Questions, run: Run) -> None:
        self._questions = questions
        self._subject = questions.subject
        self._run = run
        self._first: Arrays = {}
        self._changed = 0.0
        self._same_bits = True
        self.found: dict[Name, Finding] = {name: Finding(name) for name in NAMES}

    def begin(self) -> bool:
        """Run the batch for the first time; False if there is no answer to go on with."""
        subject = self._subject
        name: Name = "repeated-runs" if subject.batch is None else "batch-sizes"
        what = "on the first sample" if subject.batch is None else f"on a batch of {subject.rows} rows"
        answer = _answer(self.found[name], self._run, subject.inputs, what)
        if answer is not None and not list(self._unlike(self.found[name], answer, subject.runs.exact, what)):
            self._first = {name: answer[name] for name in subject.runs.exact}
            return True
        for finding in self.found.values():
            finding.skip(f"the backend gives no right answer {what}")
        return False

    def repeat(self, when: str) -> None:
        """Run the batch again, and compare with its first run."""
        finding = self.found["repeated-runs"]
        answer = _answer(finding, self._run, self._subject.inputs, when)
        if answer is None:
            return
        for name, found in self._compared_whole(finding, answer, when):
            finding.add(name, found, when, "those of the first run")
            self._changed = max(self._changed, found.max_abs_error)
            self._same_bits &= same_bits(answer[name], self._first[name])
        finding.note = (
            "bit for bit"
            if self._same_bits
            else f"not bit for bit: runs differ by up to {self._changed:.3g}, which is rounding"
        )

    def permute(self) -> None:
        """Let the rows change places, and look whether the answers do."""
        subject, finding = self._subject, self.found["permuted-rows"]
        if not self._has_rows(finding, subject.permutable):
            self._disturb()
            return
        self._compare_batch(finding, subject.permutable, subject.shift, "with the rows in another order")

    def equal_rows(self) -> None:
        """Run a batch of one row, again and again, and compare the answers for the rows with the first."""
        subject, finding, runs = self._subject, self.found["equal-rows"], self._questions.equal_rows
        if not self._has_rows(finding, subject.permutable) or runs is None or subject.batch is None:
            return
        what, count = f"in a batch of {subject.rows} equal rows", subject.rows
        answer = _answer(finding, self._run, subject.batch.take(subject.inputs, [0] * count), what)
        if answer is None:
            return
        expected = {name: runs.exact[name] for name in subject.permutable}
        unlike = set(self._unlike(finding, answer, expected, what))
        for name, layout in subject.permutable.items():
            if name in unlike or layout.axis is None or answer[name].shape != expected[name].shape:
                continue
            rows = layout.split(answer[name], count)
            for index in range(1, count):
                found = runs.compare(name, rows[index], rows[0], _rows_of(layout, count, 0))
                finding.add(name, found, f"{what}, row {index}", "those of row 0")

    def batch_sizes(self) -> bool:
        """Compare batches of one and of two rows with the same rows in the larger batch."""
        subject, finding = self._subject, self.found["batch-sizes"]
        if subject.batch is not None and subject.batch.fixed is not None:
            finding.skip(f"the model takes batches of {subject.batch.fixed} rows only")
            return False
        if not self._has_rows(finding, subject.independent):
            return False
        self._compare_batch(finding, subject.independent, ONE, "alone in a batch")
        self._compare_batch(finding, subject.independent, PAIR, "in a batch of two rows")
        return True

    def corners(self, is_right: bool) -> bool:
        """Compare the answers at other shapes with the reference's."""
        finding = self.found["shape-corners"]
        if not self._questions.corners:
            finding.skip(self._questions.why_no_corners)
            return False
        if not is_right:
            finding.skip("its numbers differ from the reference's at the usual shapes already")
            return False
        for corner, case in self._questions.corners:
            what = f"at {corner}"
            answer = _answer(finding, self._run, corner.inputs, what)
            if answer is None:
                continue
            judged = case.judge(answer)
            for name, expected in case.expected.items():
                if name in judged:
                    finding.add(name, judged[name].comparison, what, "the reference's")
                elif finding.fits(name, answer.get(name), expected.shape, what):
                    finding.add(name, case.compare(name, answer[name]), what, "the reference's")
        return True

    def extra_outputs(self, run: Run) -> None:
        """Compare the outputs with those of a session that gives inner tensors too."""
        finding, names = self.found["extra-outputs"], self._questions.extra_outputs
        if not names:
            finding.skip(self._questions.why_no_extra)
            return
        what = f"with {len(names)} inner tensor{'s' * (len(names) != 1)} as further outputs"
        try:
            answer = run(self._subject.inputs)
        except (BackendFailure, ModelError) as failure:
            finding.skip(f"the backend does not take the model {what}: {failure}")
            return
        for name, found in self._compared_whole(finding, answer, what):
            finding.add(name, found, what, "those of the model as it is")

    def _disturb(self) -> None:
        """Run other values of the same shapes, to see what that does to the next run."""
        if self._subject.other is not None:
            _answer(self.found["repeated-runs"], self._run, self._subject.other, "on other values")

    def _has_rows(self, finding: Finding, layouts: Mapping[str, OutputRows]) -> bool:
        subject = self._subject
        mixed = [name for name in subject.runs.exact if name not in layouts]
        if mixed:
            listed = ", ".join(f"'{name}'" for name in mixed)
            finding.note = f"not asked of {listed}: there the model mixes its rows"
        finding.skip(subject.why_not or "the model mixes its rows: an answer for one depends on the others")
        return bool(layouts)

    def _compare_batch(
        self, finding: Finding, layouts: Mapping[str, OutputRows], part: Sequence[int], what: str
    ) -> None:
        """Run a batch of some rows, and compare them with the same rows in the first run."""
        subject, rows, count = self._subject, list(part), self._subject.rows
        assert subject.batch is not None
        answer = _answer(finding, self._run, subject.batch.take(subject.inputs, rows), what)
        if answer is None:
            return
        for name, layout in layouts.items():
            whole, actual = self._first[name], answer.get(name)
            shape = layout.shape(whole.shape, len(rows), count)
            if actual is None or shape is None or not finding.fits(name, actual, shape, what):
                finding.fits(name, actual, shape or whole.shape, what)
                continue
            right = layout.split(whole, count)[rows]
            found = subject.runs.compare(
                name, layout.split(actual, len(rows)), right, _rows_of(layout, count, rows)
            )
            finding.add(name, found, what, "those of the same rows in the first batch")

    def _compared_whole(
        self, finding: Finding, answer: Arrays, what: str
    ) -> Iterator[tuple[str, TensorComparison]]:
        """Each output of an answer, compared with that of the first run."""
        unlike = set(self._unlike(finding, answer, self._first, what))
        for name, right in self._first.items():
            if name not in unlike and answer[name].shape == right.shape:
                yield name, self._subject.runs.compare(name, answer[name], right)

    def _unlike(self, finding: Finding, answer: Arrays, others: Arrays, what: str) -> Iterator[str]:
        """Outputs that are missing, or whose shape is another one though rounding cannot change it."""
        runs = self._subject.runs
        for name, other in others.items():
            actual = answer.get(name)
            if actual is None or (actual.shape != other.shape and runs.has_settled_shape(name)):
                finding.fits(name, actual, other.shape, what)
                yield name


def _answer(finding: Finding, run: Run, inputs: Arrays, what: str) -> Arrays | None:
    try:
        return run(inputs)
    except BackendFailure as failure:
        finding.fail(failure, what)
        return None


def _rows_of(layout: OutputRows, count: int, rows: int | Sequence[int]) -> Pick:
    """Takes some rows of an output."""
    return lambda array: layout.split(array, count)[rows]

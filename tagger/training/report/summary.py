"""Summary of a training for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from tagger.audit.findings import MAX_LISTED
from tagger.datasets.dataset import too_few_to_check
from tagger.evaluation.results import MultiLabelScores, Scores
from tagger.inference.registry import OWN_MODEL
from tagger.text import score
from tagger.training.trainer import TrainingResult


def lines(result: TrainingResult) -> Iterator[str]:
    """Scores, skipped photos and the model file, line by line."""
    evaluation = result.evaluation
    yield f"Validation: {_score_line(evaluation.validation)}"
    if evaluation.typical:
        yield f"Typical: {_score_line(evaluation.typical)}"
    if evaluation.test:
        yield f"Test: {_score_line(evaluation.test)}"
    if (words := evaluation.descriptions) and words.photos > 10:
        shares = f"{words.first_1:.1%}, {words.first_5:.1%} and {words.first_10:.1%}"
        yield (
            f"Descriptions: {shares} of {words.descriptions:,} captions find their photo first,"
            f" among the first 5 and the first 10 of {words.photos:,}"
        )
    if unknown := evaluation.unknown:
        accepted = unknown.accepted
        called_known = "" if accepted is None else f", {accepted:.2%} of them called known"
        yield (
            f"Unknown: AUROC {unknown.auroc:.4f}, FPR95 {unknown.fpr95:.2%}"
            f" on {unknown.photos:,} {unknown.measured_on}{called_known}"
        )
    if warning := too_few_to_check(evaluation.photos["val"]):
        yield f"{warning}."
    unread = evaluation.problems.unread
    for path, reason in unread[:MAX_LISTED]:
        yield f"Left out: {path}: {reason}"
    if len(unread) > MAX_LISTED:
        yield f"and {len(unread) - MAX_LISTED:,} more; all in report.html"
    seconds = sum(evaluation.seconds.values())
    if conversion := evaluation.conversion:
        yield f"Model:  {result.model} ({conversion.precision}, {seconds:.0f} s to train)"
        if result.model.resolve() == OWN_MODEL.resolve():
            yield "It answers from now on wherever no other model is named or chosen."
    else:
        yield f"No model was written: a random forest is judged alone ({seconds:.0f} s to train)"


def _score_line(scores: Scores) -> str:
    quality = f"{scores.accuracy:.2%} right"
    if isinstance(scores, MultiLabelScores):
        quality = f"F1 {scores.micro_f1:.4f}, mAP {score(scores.map)}"
    unknown = scores.decision.unfamiliar + scores.decision.uncertain
    return f"{quality} of {scores.photos:,} photos, {unknown:.2%} called unknown"

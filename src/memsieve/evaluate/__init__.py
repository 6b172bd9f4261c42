"""Measure a memory: data sets with known evidence, metrics, a runner, tables and plots.

    data = load("my-conversations/")
    report = evaluate(my_system, data)              # one system
    comparison = compare([bm25, my_system], data)   # several, on the same questions
    budget_plot_html(comparison, "recall.html")

Every figure lies in [0, 1] and higher is better; times are milliseconds of one call. Whatever
keeps to the protocol `System` can be measured, whether it comes from here or not.
"""

from memsieve.evaluate.datasets import DATASETS, load
from memsieve.evaluate.plots import budget_plot_html, budget_plot_png
from memsieve.evaluate.report import Comparison, Difference, Packed, Ranking, Report, Row
from memsieve.evaluate.runner import BUDGETS, System, compare, evaluate
from memsieve.evaluate.scopes import Dataset, Question, Scope, Skipped

__all__ = [
    "BUDGETS",
    "DATASETS",
    "Comparison",
    "Dataset",
    "Difference",
    "Packed",
    "Question",
    "Ranking",
    "Report",
    "Row",
    "Scope",
    "Skipped",
    "System",
    "budget_plot_html",
    "budget_plot_png",
    "compare",
    "evaluate",
    "load",
]

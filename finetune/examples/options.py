"""How training examples are drawn from studies."""

from dataclasses import asdict, dataclass

from db.errors import UserError
from retriever.options import Strategy


@dataclass(frozen=True, kw_only=True)
class ExampleOptions:
    """How contexts are drawn, and how many examples a study gives."""

    strategy: Strategy = "similar"
    """How cases are chosen; the adapter's record keeps it, and serving chooses likewise."""
    passes: int = 8
    """Times that every study is drawn."""
    empty: float = 0.1
    """Probability of a context without cases."""
    distracted: float = 0.2
    """Of one to three cases exchanged for any others of the index."""
    thinned: float = 0.3
    """Of a context from a random part of the hits: the nearest are not always at hand, and
    one report is to be written from many contexts."""
    shuffled: float = 0.2
    """Of an order that is not that of the scores."""
    report_findings: float = 1.0
    """Of findings on the image as its report has them, not as the encoder sees them: what the image
    is said to show is to be reported, and what only other cases show is not."""
    report_findings_short: float = 0.5
    """The same for questions and classes, which are to be read from the image as well."""
    no_indication: float = 0.5
    """Of an indication left out, where the study has one."""
    ask: float = 0.5
    """Questions a study and pass, on average; at most 1. The same below."""
    classify: float = 0.6
    caption: float = 0.25
    seed: int = 42

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if name not in ("strategy", "passes", "seed") and not 0 <= value <= 1:
                raise UserError(f"{name} must be from 0 to 1, not {value}")
        if self.passes < 1:
            raise UserError(f"passes must be at least 1, not {self.passes}")

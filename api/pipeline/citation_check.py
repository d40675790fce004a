"""The last look at a report before it is stored: does every citation hold?"""

from dataclasses import replace

from generator.grounding.report import Citation, GroundedReport
from retriever.results import Hit


def without_unsupported(report: GroundedReport) -> GroundedReport:
    """The report without citations whose number is no hit or whose quote its case does not say.

    A sentence that loses its last one stands as resting on the image alone; a note tells how many
    were taken out. Whatever the generator, no stored citation leads to what is not there.
    """
    hits = {hit.rank: hit for hit in report.hits}
    lost = 0
    statements = []
    for statement in report.statements:
        kept = tuple(c for c in statement.citations if _holds(c, hits.get(c.number)))
        lost += len(statement.citations) - len(kept)
        statements.append(replace(statement, citations=kept))
    if lost == 0:
        return report
    note = f"{lost} citations were taken out: the cited report does not say what they quote"
    return replace(report, statements=tuple(statements), notes=(*report.notes, note))


def _holds(citation: Citation, hit: Hit | None) -> bool:
    if hit is None or (hit.case.source, hit.case.study_id) != (citation.source, citation.study_id):
        return False
    said = [sentence.text for sentence in hit.case.sentences]
    return citation.quote in said or citation.quote in hit.case.report

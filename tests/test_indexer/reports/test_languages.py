"""Headings of other languages; all reports invented."""

import pytest

from indexer.reports.language import report_language
from tests.support.reports import Expected, differences

REPORTS = {
    "de": Expected(
        text="""\
Röntgen Thorax p.a. und lateral
Klinische Angaben: Husten, Fieber
Fragestellung: Infiltrat?
Voraufnahmen: 12.03.2020

Befund:
Das Herz ist normal groß. Kein Pleuraerguss. Die Lunge ist frei belüftet.

Beurteilung:
Kein Nachweis eines Infiltrates.

Mit freundlichen Grüßen
Dr. med. A. Muster
""",
        indication="Husten, Fieber\nInfiltrat?",
        comparison="12.03.2020",
        findings="Das Herz ist normal groß. Kein Pleuraerguss. Die Lunge ist frei belüftet.",
        impression="Kein Nachweis eines Infiltrates.",
        left_out=("title", "signature"),
    ),
    "fr": Expected(
        text="""\
RADIOGRAPHIE THORACIQUE
Renseignements cliniques : toux fébrile
Technique : incidence de face
Résultat :
Pas d'épanchement pleural. Silhouette cardiaque de taille normale.
Conclusion : Pas de foyer parenchymateux visible.
""",
        indication="toux fébrile",
        findings="Pas d'épanchement pleural. Silhouette cardiaque de taille normale.",
        impression="Pas de foyer parenchymateux visible.",
        left_out=("title", "technique"),
    ),
    "es": Expected(
        text="""\
INDICACIÓN: Tos y fiebre de tres días.
TÉCNICA: Proyecciones PA y lateral.
COMPARACIÓN: No se dispone.
HALLAZGOS: No se observa derrame pleural. La silueta cardíaca es de tamaño normal.
IMPRESIÓN DIAGNÓSTICA: Sin evidencia de neumonía.
""",
        indication="Tos y fiebre de tres días.",
        comparison="No se dispone.",
        findings="No se observa derrame pleural. La silueta cardíaca es de tamaño normal.",
        impression="Sin evidencia de neumonía.",
        left_out=("technique",),
    ),
    "it": Expected(
        text="""\
Quesito clinico: febbre
Esame: RX torace
Confronto: esame del 3/4/2020
Referto: Non si osservano addensamenti parenchimali. Ombra cardiaca nei limiti.
Conclusioni: Reperto nella norma.
""",
        indication="febbre",
        comparison="esame del 3/4/2020",
        findings="Non si osservano addensamenti parenchimali. Ombra cardiaca nei limiti.",
        impression="Reperto nella norma.",
        left_out=("title",),
    ),
    "nl": Expected(
        text="""\
Klinische gegevens: hoesten en koorts
Vraagstelling: pneumonie?
Vergelijking: 12-3-2020
Bevindingen: Geen pleuravocht. Het hart is niet vergroot.
Conclusie: Geen aanwijzingen voor een pneumonie.
""",
        indication="hoesten en koorts\npneumonie?",
        comparison="12-3-2020",
        findings="Geen pleuravocht. Het hart is niet vergroot.",
        impression="Geen aanwijzingen voor een pneumonie.",
    ),
    "pt": Expected(
        text="""\
INDICAÇÃO CLÍNICA: Tosse.
TÉCNICA: Incidências em PA e perfil.
ACHADOS: Ausência de derrame pleural. Área cardíaca dentro dos limites da normalidade.
IMPRESSÃO: Exame sem alterações.
""",
        indication="Tosse.",
        findings="Ausência de derrame pleural. Área cardíaca dentro dos limites da normalidade.",
        impression="Exame sem alterações.",
        left_out=("technique",),
    ),
}


@pytest.mark.parametrize("name", REPORTS)
def test_headings_of_other_languages_are_read(name: str) -> None:
    assert not differences(REPORTS[name])


@pytest.mark.parametrize("name", REPORTS)
def test_the_language_of_a_report_is_told(name: str) -> None:
    assert report_language(f"{REPORTS[name].findings} {REPORTS[name].impression}") == name

"""Names that columns of studies have in exports and public tables, for `column_guess`.

Names are compared without case, accents and punctuation: ``Study ID`` is ``studyid``. In each list
the earlier name is the stronger sign.
"""

import re
import unicodedata

NAMES: dict[str, str] = {
    "image": """
        image images imagepath imgpath imagefile imagefilename imagefilepath img pathtoimage path
        filepath filename file dicompath pathdicom dicomfile xraypath cxrpath imageindex imagename
        imageid dicomid jpgpath pngpath uri bild bilddatei bildpfad bildname aufnahme datei
        dateipfad dateiname pfad
        imagen imagenes rutaimagen ruta archivo fichier fichierimage
        cheminimage chemin afbeelding beeld bestand bestandsnaam immagine percorso imagem caminho
        arquivo
    """,
    "text": """
        text report reporttext fullreport reportbody reportcontent radiologyreport originalreport
        rawreport reports narrative caption transcription dictation description befundbericht
        befundtext bericht berichttext radiologischerbefund informe textoinforme compterendu cr
        rapport referto testoreferto verslag radiologieverslag laudo textolaudo relatorio
    """,
    "findings": """
        findings finding findingstext sectionfindings reportfindings befund befunde befundung
        hallazgos constatations resultats reperti reperto descrizione bevindingen achados
    """,
    "impression": """
        impression impressions impressiontext sectionimpression conclusion conclusions
        reportimpression assessment beurteilung zusammenfassung schlussfolgerung impresion
        impresiondiagnostica conclusiones conclusioni conclusione conclusie conclusao impressao
    """,
    "indication": """
        indication indications sectionindication clinicalindication clinicalhistory sectionhistory
        history clinicalinformation reasonforexam reasonforstudy reason indikation fragestellung
        klinischeangaben klinischefrage anamnese indicacion motivo renseignementscliniques
        indicazione quesitoclinico klinischegegevens vraagstelling indicacao
    """,
    "comparison": """
        comparison comparisons sectioncomparison vergleich voraufnahme voraufnahmen comparacion
        comparaison confronto vergelijking comparacao
    """,
    "addendum": """
        addendum addenda addendums addendumtext reportaddendum sectionaddendum amendment correction
        nachtrag nachtraege nachtragstext befundnachtrag erganzung befunderganzung zusatzbefund
        korrektur adenda adendo addendo aggiunta aanvulling complement additif rectificatif
    """,
    "study_id": """
        studyid studyuid studyinstanceuid study accessionnumber accession accessionid accno acc
        examid examinationid exam reportid studynumber untersuchungsnummer untersuchungsid
        untersuchung auftragsnummer anforderungsnummer estudio idestudio numeroexamen examen
        onderzoeksnummer uid caseid casenumber case fallnummer fallid fall id
    """,
    "patient_id": """
        patientid subjectid patient subject patid pid patientnumber patientno ptid mrn
        medicalrecordnumber deidpatientid anonpatientid personid person patientennummer patientenid
        patientnr patientennr idpaciente paciente nhc idpatient numeropatient ipp
        idpaziente paziente patientnummer idpac
    """,
    "view_position": """
        viewposition view viewcodesequencecodemeaning projection frontallateral apppa viewtype
        orientation projektion strahlengang aufnahmerichtung proyeccion incidence proiezione
        projectie projecao
    """,
    "split": "split subset partition set dataset fold",
    "labels": """
        labels label findinglabels problems tags classes classlabel labellist targets diagnoses
        diagnosis etiquetas
    """,
}
"""Our key to names, separated by white space."""

RANKS = {
    key: {name: rank for rank, name in enumerate(names.split())} for key, names in NAMES.items()
}
WEAK_STUDY_IDS = frozenset("uid caseid casenumber case fallnummer fallid fall id exam".split())
"""Names that may number studies, but also stays in hospital or rows of the table."""


def plain_name(column: str) -> str:
    """Return a column name without case, accents and punctuation."""
    text = unicodedata.normalize("NFKD", str(column).replace("ß", "ss"))
    text = "".join(letter for letter in text if not unicodedata.combining(letter))
    return re.sub(r"[\W_]+", "", text.lower())

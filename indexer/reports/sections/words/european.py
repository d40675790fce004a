"""Headings of German, French, Spanish, Italian, Dutch and Portuguese reports.

Written without accents, as `headings.plain_label` gives them.
"""

_GERMAN: dict[str, str] = {
    "indication": "indikation; rechtfertigende indikation; klinische angaben; klinische angabe"
    "; anamnese"
    "; klinik; fragestellung; klinische fragestellung; klinische information; vorgeschichte; anlass"
    "; klinische indikation; zuweisungsdiagnose; angaben; klinische daten; klinik und fragestellung"
    "; anforderung; klinischer hintergrund; diagnose des zuweisers",
    "comparison": "vergleich; vergleiche; zum vergleich; voraufnahme; voraufnahmen; voruntersuchung"
    "; voruntersuchungen; vorbefund; vorbefunde; vergleichsaufnahme; vergleichsaufnahmen"
    "; vergleichsuntersuchung; im vergleich zu",
    "findings": "befund; befunde; befundung; befundbericht; bericht; beschreibung; nebenbefund"
    "; nebenbefunde; rontgenbefund; radiologischer befund; befundtext; befundbeschreibung",
    "impression": "beurteilung; bewertung; zusammenfassung; fazit; ergebnis; schlussfolgerung"
    "; diagnose; diagnosen; epikrise; eindruck; gesamtbeurteilung; zusammenfassende beurteilung",
    "technique": "technik; untersuchungstechnik; aufnahmetechnik; methode; methodik; projektion"
    "; aufnahmen; dosis; dosisflachenprodukt; bildqualitat; technische angaben",
    "exam": "untersuchung; art der untersuchung; aufnahme; untersuchungen; leistung",
    "recommendation": "empfehlung; empfehlungen; procedere; prozedere; weiteres vorgehen",
    "addendum": "nachtrag; korrektur; erganzung; zusatzbefund; berichtigung; nachbefundung",
    "preliminary": "vorlaufiger befund; vorbefundung; vorlaufig; kurzbefund",
    "final": "endbefund; endgultiger befund; schlussbefund",
}
_FRENCH: dict[str, str] = {
    "indication": "indication clinique; renseignements cliniques; renseignement clinique; motif"
    "; motif de l'examen; motif d'examen; histoire; histoire clinique; antecedents"
    "; contexte clinique"
    "; contexte; informations cliniques; donnees cliniques; question; raison de l'examen"
    "; histoire de "
    "la maladie; clinique; question posee; motif de consultation",
    "comparison": "comparaison; comparaisons; comparatif; examen comparatif; examens comparatifs"
    "; examen anterieur; examens anterieurs; comparativement; elements de comparaison; anteriorite"
    "; anteriorites",
    "findings": "resultat; resultats; constatation; constatations; observation; description"
    "; compte rendu; compte-rendu; lecture; analyse; rapport; constats",
    "impression": "conclusion; conclusions; impression; synthese; au total; opinion; en conclusion"
    "; interpretation; impression diagnostique; resume; diagnostic",
    "technique": "technique; techniques; protocole; incidences; incidence; technique d'examen",
    "exam": "examen; type d'examen; radiographie; examen realise; examen demande",
    "recommendation": "recommandation; recommandations; conduite a tenir; cat; conduite proposee",
    "addendum": "addendum; ajout; correctif; rectificatif; complement; additif; erratum",
    "preliminary": "lecture preliminaire; rapport preliminaire; resultat preliminaire",
    "final": "rapport final; compte rendu definitif",
}
_SPANISH: dict[str, str] = {
    "indication": "indicacion; indicaciones; indicacion clinica; motivo; motivo de consulta"
    "; historia"
    "; motivo del estudio; motivo de la exploracion; antecedentes; datos clinicos"
    "; informacion clinica"
    "; historia clinica; sospecha clinica; clinica; sospecha diagnostica; motivo de peticion"
    "; justificacion"
    "; diagnostico clinico; resumen clinico; diagnostico de envio; pregunta clinica"
    "; contexto clinico"
    "; antecedentes clinicos; motivo de la solicitud; motivo de solicitud; justificacion clinica",
    "comparison": "comparacion; comparaciones; estudios previos; estudio previo; comparativo"
    "; previos"
    "; se compara con; estudio comparativo; estudios comparativos; exploraciones previas"
    "; comparado con",
    "findings": "hallazgos; hallazgo; informe; descripcion; observaciones; resultado; resultados"
    "; informe radiologico; hallazgos radiologicos; reporte; se observa; descripcion de hallazgos",
    "impression": "impresion; impresion diagnostica; conclusion; conclusiones; juicio diagnostico"
    "; diagnostico; opinion; diagnosticos; idx; id; conclusion diagnostica; impresion radiologica"
    "; resumen; diagnostico radiologico; juicio clinico; valoracion; comentario final",
    "technique": "tecnica; tecnicas; proyecciones; proyeccion; metodo; tecnica de estudio",
    "exam": "estudio; exploracion; examen; procedimiento; tipo de estudio; estudio realizado"
    "; prueba",
    "recommendation": "recomendacion; recomendaciones; sugerencia; sugerencias; se recomienda",
    "addendum": "adenda; addenda; correccion; nota adicional; nota aclaratoria; fe de erratas"
    "; addendum",
    "preliminary": "informe preliminar; lectura preliminar; preliminar",
    "final": "informe final; informe definitivo",
}
_ITALIAN: dict[str, str] = {
    "indication": "indicazione; indicazioni; quesito clinico; quesito diagnostico; quesito"
    "; anamnesi"
    "; notizie cliniche; motivo dell'esame; motivo; indicazione clinica; dati clinici"
    "; storia clinica"
    "; sospetto clinico; motivazione; informazioni cliniche; inquadramento clinico"
    "; sospetto diagnostico"
    "; richiesta; indicazioni cliniche; clinica",
    "comparison": "confronto; confronti; precedenti; esami precedenti; esame precedente"
    "; a confronto con"
    "; confronto con; in confronto con; comparazione; esami di confronto",
    "findings": "reperti; reperto; referto; descrizione; rilievi; esito; risultati; risultato"
    "; osservazioni; reperti radiologici; relazione; referto radiologico; refertazione",
    "impression": "conclusione; conclusioni; impressione; giudizio; giudizio diagnostico; diagnosi"
    "; impressione diagnostica; sintesi; in sintesi; in conclusione; conclusioni diagnostiche"
    "; valutazione; commento",
    "technique": "tecnica; tecnica d'esame; tecnica di esame; metodica; proiezioni; proiezione"
    "; tecnica di esecuzione; modalita di esecuzione",
    "exam": "esame; tipo di esame; indagine; prestazione; esame eseguito; esame richiesto"
    "; tipo esame",
    "recommendation": "raccomandazione; raccomandazioni; consigli; si consiglia; suggerimenti",
    "addendum": "addendum; integrazione; rettifica; correzione; nota integrativa; errata corrige",
    "preliminary": "referto preliminare; referto provvisorio; lettura preliminare",
    "final": "referto definitivo; referto finale",
}
_DUTCH: dict[str, str] = {
    "indication": "indicatie; klinische gegevens; klinische informatie; vraagstelling; anamnese"
    "; reden"
    "; klinische vraagstelling; voorgeschiedenis; reden van onderzoek; klinische indicatie"
    "; aanvraag"
    "; medische gegevens; reden onderzoek; klinische vraag; reden aanvraag; gegevens"
    "; inlichtingen; klinische inlichtingen; aanvraagreden; relevante klinische gegevens"
    "; medische voorgeschiedenis",
    "comparison": "vergelijking; vergeleken met; ter vergelijking; voorgaand onderzoek; vergelijk"
    "; eerder onderzoek; vorig onderzoek; eerdere onderzoeken; oude foto's; vergelijkend onderzoek"
    "; in vergelijking met; voorgaande onderzoeken; vorige onderzoeken; vergelijking met",
    "findings": "bevindingen; bevinding; verslag; beschrijving; radiologisch verslag; resultaat"
    "; resultaten; nevenbevindingen; overige bevindingen; uitslag; rontgenverslag",
    "impression": "conclusie; conclusies; impressie; beoordeling; samenvatting; besluit; diagnose",
    "technique": "techniek; onderzoekstechniek; opnametechniek; projecties; methode; scantechniek",
    "exam": "onderzoek; type onderzoek; verrichting; soort onderzoek; uitgevoerd onderzoek",
    "recommendation": "advies; aanbeveling; aanbevelingen; beleid",
    "addendum": "addendum; correctie; aanvulling; aanvullend verslag; rectificatie; erratum",
    "preliminary": "voorlopig verslag; voorlopige uitslag; voorlopige beoordeling",
    "final": "definitief verslag; eindverslag",
}
_PORTUGUESE: dict[str, str] = {
    "indication": "indicacao; indicacoes; indicacao clinica; historia clinica; historia"
    "; dados clinicos"
    "; informacao clinica; informacoes clinicas; motivo; motivo do exame; antecedentes; hipotese"
    "; suspeita clinica; quadro clinico; justificativa; hipotese diagnostica; indicacao do exame"
    "; contexto clinico; justificativa clinica; clinica",
    "comparison": "comparacao; comparacoes; exames anteriores; exame anterior; estudo comparativo"
    "; exames previos; comparado com; exames para comparacao; comparativo; exame de comparacao",
    "findings": "achados; achado; descricao; relatorio; laudo; analise; resultado; resultados"
    "; observacoes; os seguintes aspectos foram observados; aspectos observados"
    "; achados radiologicos"
    "; relatorio medico; comentarios; observacao; os seguintes aspectos",
    "impression": "impressao; impressao diagnostica; conclusao; conclusoes; opiniao; diagnostico"
    "; hipoteses diagnosticas; sumario; sintese; em conclusao; parecer; conclusao diagnostica",
    "technique": "tecnica; tecnica do exame; metodo; metodologia; incidencias; incidencia"
    "; protocolo"
    "; tecnica de exame",
    "exam": "exame; estudo; tipo de exame; exame realizado; procedimento",
    "recommendation": "recomendacao; recomendacoes; sugestao; sugestoes; conduta",
    "addendum": "adendo; adenda; correcao; nota adicional; errata; retificacao; complemento",
    "preliminary": "laudo preliminar; relatorio preliminar; resultado preliminar",
    "final": "laudo final; relatorio final; laudo definitivo",
}
LANGUAGES = (_GERMAN, _FRENCH, _SPANISH, _ITALIAN, _DUTCH, _PORTUGUESE)

ORGANS = tuple(
    """
    lunge; lungen; herz; pleura; mediastinum; hilus; hili; zwerchfell; zwerchfelle; skelett; knochen
    weichteile; fremdmaterial; herz und mediastinum; herz mediastinum; gefasse; zwerchfellkuppen
    rippen
    herzschatten; oberbauch; material; einliegendes fremdmaterial; lungenparenchym; thoraxskelett
    poumons; poumon; coeur; cœur; plevre; plevres; mediastin; hiles; os; parties molles
    silhouette cardiaque
    coupoles; coupoles diaphragmatiques; squelette; cadre osseux; parenchyme; parenchyme pulmonaire
    materiel; dispositifs; champs pulmonaires; silhouette cardio mediastinale; abdomen superieur
    pulmones; pulmon; corazon; mediastino; hilios; huesos; partes blandas; silueta cardiaca; pleuras
    parenquima; parenquima pulmonar; diafragma; diafragmas; dispositivos; campos pulmonares
    torax oseo
    silueta cardiomediastinica; estructuras oseas; vascularizacion; senos costofrenicos; cateteres
    polmoni; polmone; cuore; ili; ossa; tessuti molli; campi polmonari; ombra cardiaca; scheletro
    pleure
    parenchima; parenchima polmonare; diaframma; emidiaframmi; seni costofrenici
    immagine cardiaca; dispositivi
    longen; long; hart; hilus; skelet; weke delen; hartfiguur; hartschaduw; longvelden; lijnen
    lijnen en tubes
    mediastinum en hili; botten; sinus; diafragmakoepels; vaten; longparenchym; bovenbuik
    hilusregio; hart mediastinum
    pulmoes; pulmao; coracao; hilos; ossos; tecidos moles; area cardiaca; campos pulmonares
    arcabouco osseo
    partes moles; seios costofrenicos; silhueta cardiaca; estruturas osseas; parenquima pulmonar
    aorta
    """.replace("\n", ";").split(";")
)

CONNECTORS = ("und", "et", "y", "e", "en", "ed", "i", "sowie")

"""English headings of reports, by what they open.

A phrase is written in lower case, without brackets, numbers and trailing marks; ``headings`` takes
off words of modality, body part and state ("CHEST X-RAY FINDINGS", "FINAL IMPRESSION") and reads
several phrases with "and" or "/" between as one heading.
"""

import re

HEADINGS: dict[str, tuple[str, ...]] = {
    "indication": (
        *("indication", "indications", "clinical indication", "clinical indications"),
        *("indication for exam", "indication for examination", "indication for study"),
        *("history", "clinical history", "patient history", "medical history", "hx", "hpi", "pmh"),
        *(
            "clinical hx",
            "past medical history",
            "past history",
            "brief history",
            "surgical history",
        ),
        *("relevant history", "history of present illness", "relevant clinical history", "hist"),
        *("clinical information", "clinical info", "clinical data", "clinical statement"),
        *(
            "clinical details",
            "clinical detail",
            "clinical question",
            "clinical concern",
            "clinical",
        ),
        *("clinical notes", "clinical note", "clinical context", "clinical background", "ci"),
        *("clinical presentation", "clinical summary", "clinical diagnosis", "clinical problem"),
        *("clinical findings", "clinical impression", "clinical indication and history"),
        *("relevant clinical information", "relevant clinical details", "background", "info"),
        *("reason", "reasons", "reason for exam", "reason for the exam", "reason for examination"),
        *("reason for study", "reason for the study", "reason for visit", "reason for referral"),
        *("reason for this examination", "reason for the examination", "reason for test"),
        *("reason for procedure", "reason for request", "reason for order", "reason for imaging"),
        *("reason for xray", "reason for x ray", "exam reason", "study reason", "order reason"),
        *("underlying medical condition", "medical condition", "condition", "comorbidities"),
        *("symptom", "symptoms", "signs and symptoms", "presenting complaint", "chief complaint"),
        *("complaint", "complaints", "presenting symptoms", "cc", "pc", "c/o", "question"),
        *("questions", "question to be answered", "admitting diagnosis", "provisional diagnosis"),
        *("working diagnosis", "referring diagnosis", "suspected diagnosis", "pre test diagnosis"),
        *("diagnosis code", "icd", "icd 10", "icd code", "icd 10 code", "reason for consult"),
        *("order comments", "order comment", "order details", "request", "request details"),
        *("clinical request", "requested", "exam request", "special instructions", "problem"),
        *("additional history", "additional clinical information", "tech notes", "tech note"),
        *("technologist notes", "technologist note", "technologist comment", "tech comments"),
        *("technologist comments", "rx", "dx", "why", "purpose", "purpose of exam"),
    ),
    "comparison": (
        *("comparison", "comparisons", "compare", "compared", "compared to", "compared with"),
        *("comparison study", "comparison studies", "comparison exam", "comparison examination"),
        *("comparison film", "comparison films", "comparison is made to", "comparison made to"),
        *("prior", "priors", "prior study", "prior studies", "prior exam", "prior exams", "prev"),
        *("prior examination", "prior examinations", "previous", "previous study", "old films"),
        *("previous studies", "previous exam", "previous exams", "previous imaging", "correlation"),
        *("prior imaging", "comparison imaging", "comparative study", "comp", "previous films"),
        *("previous findings", "prior findings", "prior impression", "previous impression"),
        *("previous examination", "previous report", "prior report", "comparison date"),
        *("comparison radiograph", "comparison radiographs", "relevant priors", "relevant prior"),
        *("studies for comparison", "comparison to", "comparison with", "previous results"),
    ),
    "findings": (
        *("finding", "findings", "observation", "observations", "report", "description"),
        *(
            "descriptions",
            "narrative",
            "narrative report",
            "result",
            "results",
            "interpretation of",
        ),
        *(
            "report text",
            "text report",
            "body",
            "findings text",
            "imaging findings",
            "x ray findings",
        ),
        *("other findings", "additional findings", "incidental findings", "incidental", "misc"),
        *("miscellaneous", "other", "others", "additional", "positive findings", "key findings"),
        *("pertinent findings", "negative findings", "main findings", "general findings"),
        *("radiology report", "radiological report", "x ray report", "radiographic report"),
        *("radiology findings", "radiological findings", "radiographic findings", "remarks"),
        *("additional comments", "detailed findings", "reported findings", "current findings"),
        *("read", "official read", "radiology read", "final read", "reading", "report body"),
    ),
    "impression": (
        *("impression", "impressions", "conclusion", "conclusions", "opinion", "summary"),
        *("interpretation", "imp", "impr", "concl", "assessment", "radiological impression"),
        *("diagnostic impression", "radiographic impression", "impression text", "overall"),
        *("final diagnosis", "radiological diagnosis", "radiographic diagnosis", "bottom line"),
        *("summary of findings", "findings summary", "radiologist impression", "final impression"),
        *("final assessment", "radiology impression", "final conclusion", "overall impression"),
        *("overall assessment", "clinical significance", "synopsis", "in summary", "concluding"),
        *("main conclusion", "conclusive", "key points", "take home", "diagnoses", "evaluation"),
    ),
    "comment": ("comment", "comments", "diagnosis", "note", "notes", "discussion"),
    "technique": (
        *("technique", "techniques", "procedure technique", "technical", "technical factors"),
        *("technical quality", "image quality", "quality", "technical note", "technical comments"),
        *("exposure", "dose", "radiation dose", "fluoro time", "fluoroscopy time", "contrast"),
        *(
            "view",
            "views",
            "number of views",
            "projection",
            "projections",
            "projection s",
            "method",
        ),
        *("methods", "acquisition", "protocol", "imaging technique", "exam technique", "position"),
        *(
            "positioning",
            "limitations",
            "limitation",
            "equipment",
            "procedure details",
            "medication",
        ),
        *("medications", "sedation", "film quality", "study quality", "technical limitations"),
    ),
    "exam": (
        *("exam", "examination", "exams", "examinations", "exam type", "examination type", "study"),
        *("studies", "procedure", "procedures", "exam performed", "study performed", "exam name"),
        *("procedure performed", "examination performed", "study type", "type of exam", "modality"),
        *("type of study", "type of examination", "exam description", "study description", "test"),
        *("procedure description", "service", "exam title", "examination title", "body part"),
        *("study name", "procedure name", "exam ordered", "name of exam", "ordered procedure"),
        *("order description", "imaging study", "title", "accession exam", "exam code", "cpt"),
        *("cpt code", "exam 1", "investigation", "investigations", "type", "procedure code"),
    ),
    "recommendation": (
        *("recommendation", "recommendations", "recommended", "follow up", "followup", "plan"),
        *("follow up recommendations", "advice", "suggestion", "suggestions", "recommend"),
        *("suggested follow up", "action", "next steps", "management", "recommendation s"),
        *("further imaging", "follow up recommendation", "clinical correlation", "rec", "recs"),
        *("further management", "actionable", "incidental finding recommendation"),
    ),
    "notification": (
        *("notification", "notifications", "notification s", "communication", "communications"),
        *(
            "critical result",
            "critical results",
            "critical value",
            "critical findings notification",
        ),
        *("critical communication", "results communicated", "result communication", "notified"),
        *("communication of results", "communicated", "discussed with", "called to", "alert"),
        *("findings communicated", "results called", "results called to", "physician notified"),
        *("critical result communication", "critical test result", "provider notification"),
    ),
    "preliminary": (
        *(
            "wet read",
            "wet reading",
            "wet read version",
            "wet read report",
            "prelim",
            "prelim read",
        ),
        *("preliminary read", "preliminary report", "preliminary interpretation", "wet reader"),
        *("preliminary", "preliminary impression", "preliminary findings", "preliminary result"),
        *("resident read", "resident preliminary read", "resident interpretation", "ed read"),
        *("overnight read", "nighthawk", "nighthawk report", "ed interpretation", "er read"),
        *("emergency department interpretation", "initial read", "initial interpretation"),
        *("preliminary result by radiology", "prelim report", "teleradiology read", "stat read"),
        *("resident report", "ed preliminary", "ed preliminary read", "ed physician read"),
        *("overnight interpretation", "preliminary wet read", "overnight preliminary read"),
        *("ed wet read", "provisional report", "provisional read", "teleradiology report"),
    ),
    "final": (
        *("final report", "final", "final radiology report", "final result", "attending read"),
        *("final interpretation", "attending report", "official report", "original report"),
        *("original report follows", "end of addendum", "end addendum", "addendum end"),
        *("addendum ends", "end of addenda", "final results", "attending interpretation"),
        *("original", "report as originally dictated", "original dictation", "full report"),
        *("original final report", "staff read", "attending radiologist report", "original text"),
        *("original report text", "previously dictated report", "report follows"),
    ),
    "addendum": (
        *("addendum", "addenda", "addendum start", "addendum begins", "addendum report", "addend"),
        *("start of addendum", "begin addendum", "addendum to report", "correction", "corrections"),
        *("report correction", "corrected report", "amended report", "amendment", "amended"),
        *("revised report", "revision", "corrigendum", "erratum", "addendum text", "late addendum"),
        *("supplementary report", "supplemental report", "addendum by", "addendum begin"),
        *("corrected", "correction to report", "addendum to impression", "addendum impression"),
        *("addendum to findings", "addendum findings", "report addendum", "final addendum"),
        *("discrepancy", "overread", "over read", "overread addendum", "amended impression"),
        *("corrected impression", "revised impression", "amended findings", "corrected findings"),
    ),
}

ORGANS = tuple(
    """
    lung; lungs; lung fields; lung parenchyma; parenchyma; pulmonary parenchyma; airspaces
    air spaces
    airways; airway; trachea; tracheobronchial; right lung; left lung; lung bases; lung apices
    apices
    bases; lung volumes; lung volume; inspiration; volumes; pleura; pleural; pleural space
    pleural spaces; pleural surfaces; pleural cavity; pleural cavities; costophrenic angles
    cp angles
    costophrenic sulci; fissures; heart; heart size; cardiac; cardiac silhouette; cardiac size
    cardiovascular; cardiomediastinum; cardiomediastinal; cardiomediastinal silhouette
    cardiac shadow
    cardiomediastinal contours; cardiomediastinal contour; cardio mediastinal silhouette
    heart and great vessels; great vessels; mediastinum; mediastinal; mediastinal contours
    mediastinal contour; mediastinal silhouette; hila; hilum; hilar; hilar regions; hilar structures
    hilar contours; aorta; aortic arch; vessels; vasculature; vascular; pulmonary vasculature
    pulmonary vascularity; pulmonary vessels; vascularity; pulmonary; pulmonary vascular
    vascular pedicle; bone; bones; bony thorax; bony structures; bony; bony skeleton; osseous
    osseous structures; skeleton; skeletal; skeletal structures; musculoskeletal; msk; ribs
    rib cage
    spine; thoracic spine; soft tissue; soft tissues; chest wall; extrathoracic soft tissues
    body wall
    diaphragm; diaphragms; hemidiaphragms; upper abdomen; visualized upper abdomen; abdomen
    subdiaphragm
    visualised upper abdomen; visualized abdomen; below diaphragm; below the diaphragm
    upper abdominal
    visualized bones; line; lines; tubes; lines and tubes; tubes and lines; tubes lines; lines tubes
    tubes and catheters; lines tubes and drains; support devices; support apparatus; support lines
    device; devices; medical devices; catheters; drains; hardware; implants; life support devices
    supporting devices; monitoring and support devices; support lines and tubes; support structures
    support equipment; surgical changes; postoperative changes; postsurgical changes; foreign body
    foreign bodies; pacemaker; endotracheal tube; et tube; ett; nasogastric tube; ng tube
    enteric tube
    central line; central venous catheter; picc; picc line; chest tube; chest tubes; thyroid; neck
    visualized portions of upper abdomen; neck and thoracic inlet; lower neck; thoracic inlet
    stomach
    right hemithorax; left hemithorax; right; left; retrocardiac; retrocardiac region; lymph nodes
    right chest; left chest; thorax; chest; shoulders; clavicles; nodes; pulmonary arteries
    pericardium
    pneumothorax; effusion; effusions; pleural effusion; pleural effusions; consolidation; opacities
    nodules; edema; pulmonary edema; atelectasis; cardiomegaly; airspace disease; infiltrate
    infiltrates
    fracture; fractures; free air; subdiaphragmatic free air; calcifications; masses; nodule
    subdiaphragmatic region; cardiac and mediastinal silhouettes; ribs and clavicles; lungs pleura
    cardiac and mediastinal contours; mediastinum and hila; heart and mediastinum; lungs and pleura
    lungs and airways; lungs airways pleura; surgical clips; ventilation; lower chest; tracheostomy
    """.replace("\n", ";").split(";")
)

MODIFIERS = frozenset(
    """
    chest cxr xr cr dx dr x ray xray rays radiograph radiographs radiographic radiography
    radiological
    radiologic radiology plain film films thorax thoracic pa ap lateral lat frontal portable view
    views
    two one three five single 1 2 3 4 1v 2v 3v 4v 1vw 2vw 3vw vw vws v w upright erect supine semi
    semierect mobile bedside digital imaging image
    images brief current final overall the of for on and with today's todays study exam examination
    formatted text section detailed diagnostic main standard inspiratory expiratory only at by in
    this
    decubitus routine pre post follow up repeat stat limited complete left right
    oblique apical lordotic number no procedure scan ct cta mri mr computed tomography ultrasound us
    fluoroscopy contrast without iv low dose high resolution hrct screening day am pm thoracis lung
    rx rtg radiografia radiographie tele trx rontgen roentgen p a und et y e in im du de da do di
    del
    della zwei ebenen seitlich liegend liegen stehend stehen face profil deux debout couche frente
    perfil
    proyecciones dos proiezioni due twee richtingen portatil lit letto al lecho leito bett laterale
    standard digitale telerradiografia teleradiografia x-thorax projections sitzend attending
    staff resident radiologist em 2p 2pr vom am a d van
    """.split()
)
"""Words that may stand beside a heading, or make up the title of an examination."""

RADIOGRAPH = frozenset(
    "xr cr dx dr cxr x xray ray rays radiograph radiographs radiographic radiography film films"
    " pa ap "
    "portable view views 1v 2v 3v 1vw 2vw vws lateral frontal plain rx rontgen roentgen"
    " radiografia radiographie trx "
    "thoraxaufnahme thoraxfoto rontgenthorax telerradiografia teleradiografia face".split()
)
OTHER_MODALITY = frozenset("ct cta mri mr tomography ultrasound us hrct fluoroscopy scan".split())
CHEST = frozenset(
    "chest thorax cxr thoracic lung thoracis torax torace trx thoraxaufnahme thoraxfoto"
    " rontgenthorax "
    "thoracique pulmonaire".split()
)
OTHER_PARTS = frozenset(
    """
    abdomen abdominal kub pelvis pelvic hip hips knee knees ankle ankles foot feet toe toes leg
    tibia
    fibula femur shoulder shoulders humerus elbow elbows forearm wrist wrists hand hands finger
    fingers
    thumb radius ulna skull head brain face facial sinus sinuses orbit orbits mandible neck cervical
    lumbar lumbosacral sacrum sacral coccyx spine heel calcaneus scapula clavicle acromioclavicular
    sternum ribs rib renal kidney kidneys bladder liver gallbladder spleen aorta breast breasts
    mammogram barium swallow esophagus esophagram venous doppler carotid extremity bowel obstructive
    series babygram bone skeletal survey thyroid echocardiogram echo scrotum uterus soft tissue
    """.split()
)
AMBIGUOUS_PARTS = frozenset(
    "abdomen neck spine shoulders clavicle ribs rib aorta sternum soft tissue bone esophagus "
    "thyroid".split()
)
"""Body parts that a chest radiograph shows as well: as a sub-heading they are its own unless the
report is of several examinations."""

INDICATION_WORD = re.compile(
    r"\b(?:indication|history|hx|reason|symptoms?|complaint|clinical|condition|concern|request(?:ed)?"
    r"|referral|question|presenting|admitting|provisional|suspected)\b"
)
"""A heading of few words with one of these is an indication, whatever else it says."""
NO_INDICATION_WORD = re.compile(r"\b(?:correlation|correlate|follow|recommend\w*|significance)\b")

"""What is examined, and how: organs, body parts, modalities, as headings name them in English."""

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

"""The words of questions on X-rays, by what they say.

A question that names no finding is one on the image if it uses no other words than these.
"""

import re

CONTENTLESS = frozenset(
    """
    a an the this that these those than is are was were
    be been being am do does did has have had can
    could would will may might i you we he she it they me my your his her its their our one of
    in on at to for from with within by as and or but if so there here any some no not all every
    please thanks thank hi hello hey ok okay kindly just only also then now still yet again well
    what whats hows wheres theres which who where when why how whose whether really actually
    maybe perhaps u ur pls plz don t s isn aren doesn haven hasn d ll ve re m im let us tell say
    know see look looks looking looked seen show shows showing shown appear appears seem seems
    think believe like about out up
    """.split()
)
"""Words that say nothing of what is asked."""
IMAGE_WORDS = frozenset(
    """
    x xray xrays ray rays cxr radiograph radiographs radiography film films image images imaging
    scan picture pictures study exam examination view views chest thorax thoracic plate lateral
    frontal projection
    """.split()
)
_TALK = frozenset(
    """
    give list name describe description sum summary summarise summarize report read reading
    interpret interpretation impression opinion overview conclusion comment comments explain
    review check assess evaluate evaluation prelim preliminary wet finding findings abnormality
    abnormalities abnormal abnormally normal normality diagnosis diagnoses diagnose dx ddx
    differential problem problems trouble issue issues pathology pathologies pathological
    disease diseases diseased condition conditions lesion wrong fine good bad alright right
    correct healthy health clear clean unremarkable remarkable unusual strange odd weird
    worrying worry worried concerning concern concerns suspicious significant important relevant
    main major most key everything anything something nothing things thing stuff going happening
    present visible patient patients pt person case standout stands stand stick sticks jump
    jumps note noteworthy attention wnl nad acute active process cardiopulmonary intrathoracic
    limits within call called overall short brief briefly line sentence words plain simple
    simply detail detailed full complete verdict result results outcome story thoughts
    likelihood likelihoods probability probabilities each else other first whole general
    generally signs sign evidence mean means doctor dr radiologist sir madam morning afternoon
    evening dear could quickly quick mum mom dad mother father son daughter wife husband grandma
    grandad baby inside observe observed observations observation detect detected identify
    identified notice noticed spot illness represent represents indicate indicates suggest
    suggests kind type sort special above sick sickness ill damage damaged red flag flags yes y
    n way shape common largest today available body part parts organ organs system systems man
    woman lady gentleman guy male female year old yo years boy girl m f take get make made
    better english speak pre post op preop postop operative routine portable admission dealing
    ordinary understood including include included hx pmh reason reasons off place positives
    negatives positive negative pertinent processes trauma fall find finds found seeing sees
    should agree agreed likely top two three four five number bill never always big little lot
    many much less least best certain sure single remark seriously entire total state status
    exactly precisely want need know knows help understand talk through go over looking out
    checking telling given gave says said saying reads child kid teach student expert colleague
    noted mention mentioned highlight highlights point points item items bullet chief principal
    primary leading readout wrongs concerningly crucial critical noticeable obvious evident
    clearly anywhere urgent urgently emergent alarming threatening confident
    confirm confirms confirmed verify verified more
    confidence certainty structure structures area areas missed overlooked
    """.split()
)
OF_READING = frozenset(
    "finding findings abnormality abnormalities diagnosis diagnoses impression pathology"
    " pathologies radiologist radiologists interpretation report".split()
)
"""Words that are used of the reading of images only."""


def _and_plurals(words: str) -> frozenset[str]:
    return frozenset(words.split()) | {f"{word}s" for word in words.split()}


ORGANS = _and_plurals(
    """
    heart ctr cardiothoracic cardiac cardiomediastinal mediastinum mediastinal lung lungs lobe
    lobes pulmonary parenchyma pleura pleural pleurae costophrenic angle angles cp rib ribs bone
    bones bony skeletal skeleton osseous clavicle clavicles diaphragm diaphragms hemidiaphragm
    hila hilum hilar aorta aortic trachea tracheal airway airways vessels vascular vasculature
    markings silhouette contour contours shadow borders border size fields field zones zone
    bases base apex apices spine vertebrae vertebral sternum shoulder shoulders soft tissue
    tissues space spaces midline knob arch parenchymal interstitial airspace airspaces wall
    ventricle ventricles ventricular atrium atria atrial valve valves pericardium pericardial
    esophagus oesophagus gastric stomach bubble subdiaphragmatic subcutaneous bronchus bronchi
    bronchial carina fissure fissures vessel breast breasts nipple nipples scapula humerus
    costochondral disc discs lymph node nodes artery arteries vein veins svc hemithorax
    retrocardiac perihilar hilus lingula bronchiole alveolus alveoli dome hemidome vertebra backbone
    manubrium xiphoid acromion glenoid joint cartilage paraspinal paravertebral paratracheal stripe
    sulcus sulci recess recesses aortopulmonary azygos thymus
    """
)
_OF_MANY = frozenset(
    """
    border borders contour contours size shadow silhouette field fields zone zones base bases space
    spaces wall angle angles tissue tissues markings level levels line lines central peripheral tip
    placement pattern distribution located location extensive normal outline margin margins
    """.split()
)
"""Words that are said of many organs."""
_SIDES = frozenset(
    """
    left right upper lower middle side sides both bilateral top bottom
    """.split()
)
APPEARANCE = _and_plurals(
    """
    calcification calcifications calcified air gas level levels collection collections lucency
    lucent lucencies density densities dense distribution pattern margin margins outline
    obscured blunted blunting sharp deviated deviation shifted shift elevated depressed
    flattened flat thickened thickening widened widening narrowed narrowing enlarged prominent
    prominence bulge bulging bump bumps dot dots line lines nodular reticular alveolar cavitary
    cyst cystic cysts bulla bronchogram bronchograms apical basal basilar peripheral central
    segmental lobar aneurysm dissection embolus embolism infarct tuberculosis tb sarcoidosis
    sarcoid silicosis lytic sclerotic lesion lesions expanded expansion aspiration surgery
    surgical postoperative asbestosis abscess injury injuries trauma located location asymmetric
    asymmetry symmetric symmetry tip placement malposition malpositioned superimposed extensive
    adenopathy cavity pneumonitis bronchitis foreign mass
    pectus excavatum carinatum situs inversus dextrocardia miliary stent stents suture sutures
    staples electrode electrodes wires lobectomy pneumonectomy mastectomy thoracotomy sternotomy
    prosthesis prosthetic phlegm mucus sputum secretions windpipe breastbone backbone ribcage
    azygos thymus thymic ards goitre goiter coarctation notching arthritis osteoarthritis
    osteophyte osteophytes spondylosis osteopenia osteoporosis sclerosis dislocation dislocated
    degenerative kyphotic bronchiolitis honeycombing fibrotic scars scar pneumoconiosis
    mesothelioma lymphoma histoplasmosis aspergilloma hemorrhage haemorrhage contusion hematoma
    haematoma hyperlucent oligemia oligaemia vascularity inflammation inflammatory swallowed
    inhaled
    """
)
"""What radiographs show, though no rule reads it."""
UNREAD = _and_plurals(
    """
    stent shunt bullet pellet shrapnel coin battery needle screw rod pin knife shard splinter
    dissection embolus embolism infarct infarction dislocation fistula hematoma haematoma stricture
    stenosis narrowing compression aspergilloma sarcoidosis lymphoma thymoma goitre goiter
    asbestosis silicosis mesothelioma bronchogram cyst polyp clot varix hamartoma teratoma
    """
)
"""Things that may be on an image and are no finding, so that only the words of cases tell."""
_POSTURES = frozenset(
    """
    supine prone erect upright recumbent decubitus lordotic oblique portable rotated rotation
    inspiration inspiratory expiration expiratory penetration penetrated exposure artefact
    artefacts collimation centring
    """.split()
)
"""What is said of how an image was taken."""
_GENERAL = CONTENTLESS | IMAGE_WORDS | _TALK | ORGANS | _SIDES


def nouns_of_xrays(text: str) -> list[str]:
    """The words of a text that name an organ or what radiographs show."""
    nouns = ORGANS | APPEARANCE
    return [word for word in words_of(text) if word in nouns and word not in _OF_MANY]


def is_known(word: str) -> bool:
    """Whether a word in lower case is one of X-rays, spelt as it should be."""
    return word in _GENERAL or word in APPEARANCE or word in _POSTURES


def words_of(text: str) -> list[str]:
    """The words of a text, in lower case."""
    return re.findall(r"[a-z]+", text.lower())


def strange_words(text: str) -> list[str]:
    """The words that are neither of X-rays nor of talk."""
    return [word for word in words_of(text) if word not in _GENERAL]


def has_any(text: str, words: frozenset[str]) -> bool:
    return not words.isdisjoint(words_of(text))

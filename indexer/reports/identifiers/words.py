"""Words that decide whether capitals are a name: given names, eponyms, and words of a report."""

GIVEN_NAMES = frozenset(
    """
    aaron abdul abigail adam adele adrian agnes ahmad ahmed aisha alan albert alberto alejandro
    alessandro alex alexander alexandra alfred ali alice alicia alison amanda amelia amir amy ana
    andrea andreas andrew andré angela angelina anita anja ann anna anne anneke annette anthony
    antoine antonia antonio antónio arjun arthur ashley astrid audrey barbara barry beatrice beatriz
    ben benjamin bernard bernd betty beverly birgit bjorn bob brandon brenda brian bridget bruno
    camille carla carlos carmen carol caroline catherine cathy cecilia charles charlotte cheryl chiara
    chris christian christina christine christoph christopher claire clara claudia claus colin
    craig cynthia daniel daniela danielle dave david deborah debra dennis diana diane dieter diego
    dimitri dirk dmitri dominik donald donna doris dorothy douglas duncan edith eduardo edward eileen
    elena eleanor elisabeth elizabeth ellen emily emma enrique eric erica erik ernst esther eugene
    eva evelyn fatima felix fernando fiona florian frances francesca francesco francis francisco
    françois françoise frederick friedrich gabriel gabriela gary gemma geoffrey george georg georges
    gerald gerard gerhard giovanni giulia giuseppe gloria gonzalo gordon greg gregory gudrun guido
    guillermo gunther günter gustavo hannah hans harold harry hassan heather hector heidi heike heinrich
    helen helena helga helmut henri henrik henry herbert hiroshi howard hugh hugo ibrahim ian ignacio
    ingrid irene isabel isabella isabelle ivan jaap jack jacob jacqueline jacques jaime jake james
    jamie jan jane janet janice jason javier jean jeanne jeff jeffrey jennifer jeremy jerome jessica
    jill jim joan joana joanna joanne joao joão joe joel johan johann johanna john johannes jon
    jonas jonathan jorge jose josef joseph josé joshua joyce juan juana judith judy julia julian julie
    julio jürgen justin karen karin karl katarzyna kate katharina katherine kathleen kathryn katrin
    keith kelly kenneth kevin khalid kim kimberly kirsten klaus krzysztof kumar kurt lars laura lauren
    laurent lawrence lena leonard leonardo lewis liam linda lisa lorenzo louis louise luca lucas lucia
    lucy luigi luis luisa luiz lukas lynn magdalena manfred manuel marc marcel marcella marco
    marcos margaret margarita margot maria mariana marie marina mario marion marjan markus marta martha
    martin martina martine mary mateo mathias matteo matthew matthias maureen mauricio max megan mei
    melanie melissa mercedes michael michel michele michelle miguel mike mohamed mohammad mohammed
    monica monika muhammad nadia nancy natalia natalie nathan nathalie neil nicholas nicola nicolas
    nicole nigel nina norbert norman olga oliver olivia olivier omar oscar pablo pamela paola
    paolo patricia patrick patrizia paul paula paulo pedro peggy peter petra philip philippe pierre
    pieter pietro piotr priya rachel rafael rainer rajesh ralf ralph ramon raj raquel raúl ravi raymond
    rebecca regina renate ricardo richard rita rob robert roberta roberto rodrigo roger roland ronald
    rosa rosemary ross roy rudolf ruth ryan sabine sally samantha samuel sandra sanjay sara sarah
    sascha scott sean sebastian sergei sergio sharon sheila shirley silke silvia simon simone sofia
    sonia sophia sophie stefan stefanie stefano stephan stephanie stephen steve steven stuart sunita
    susan susana susanne suzanne sven sylvia tamara tanja tara teresa terry theodore theresa thérèse
    thomas tim timothy tina todd tom tomasz tony tracy ulrich ulrike ursula uwe valentina valerie
    vanessa vera veronica veronique victor victoria vikram vincent virginia vladimir walter wanda
    wayne wendy werner wilhelm willem william wolfgang xavier yasmin yolanda yuki yusuf yves zoe zed
    """.split()
)
"""Common given names in several languages, without those that are also words."""

EPONYMS = frozenset(
    """
    abrams addison adson alzheimer amplatz apert arnold ascher ashman austin baastrup babinski baker
    bankart barlow barrett barton bartter bechterew becker behçet behcet bence bennett bentall berlin
    bernoulli bezold bjork björk-shiley blalock blakemore bland blount bochdalek boeck boerhaave
    bouchard bovie braun broviac bruton budd bucky burkitt caffey calve cameron caplan carney caroli
    carpentier carvallo castleman celestin chagas chance charcot chassaignac cheyne chiari chilaiditi
    cholesky churg clara cobb codman cooley cope cornell corrigan crohn cushing codivilla colles
    dacron dandy davis dawson debakey dercum desilets dieulafoy dobhoff doppler down dressler duchenne
    dunlop ebstein edwards ehlers eisenmenger ellis ewing fallot felson felty fiedler fleischner
    fleming floating fontan fogarty foley frostberg freiberg friedländer galeazzi garland garré gaucher
    ghon glenn godman golden goldenhar goodpasture gore gorham gorlin graham greenfield greenspan
    groshong grawitz groh guillain haglund hamman hampton hand hashimoto heberden hegglin heimlich
    heinz hemlock henoch hickman hill hinton hippel hodgkin hoffman hohl holmes holt holter hounsfield
    horner hughes huntington hunter hutchinson ivemark jackson jarvik jeune jones juhl kaplan kartagener
    kaposi kawasaki kerley kienböck kienbock king kirschner klatskin klebsiella klippel knutsson kohler
    köhler kommerell konno koplik kocher kulchitsky kussmaul kveim laennec lambert langerhans
    larrey legg leriche levine levin lhermitte libman lisfranc lister löffler loeffler loffler looser
    löfgren lofgren louis luer ludwig luftsichel luschka lyme macleod maffucci mallory mantoux malgaigne
    marfan marie martell maydl meckel medtronic meigs mendelson mikulicz milroy monaldi mondor
    monge monro montgomery moore morgagni morquio morison moses mounier mueller mustard naclerio nissen
    noonan norwood nuss oliver ollier ormond osler paget palmaz pancoast parkinson parkes patau peutz
    plummer poland pompe port pott poupart pratt pringle quain quincke ranke rasmussen ravitch raynaud
    reid reiter rendu rett reynolds ricketts riedel rigler ross roesler rotch roux russell sahli
    salter sapien sauvage scadding scheuermann schatzki schmorl schilling schüller scimitar seldinger
    sengstaken senning sever shone shiley sharp sievert silverman simon simmonds sjögren sjogren sluder
    smith spigelian sprengel starr steell steno stewart still stokes sturge swan swyer sydenham
    takayasu taussig teichholz tenckhoff tietze trousseau truncus turner twining valsalva valsava
    vater vidal virchow wagner wegener weber weil weill wenckebach westermark whipple white william
    williams willis wilms wilson wolff wolffian xenopi yersinia zenker ziehl zollinger zuckerkandl
    fick fischer fisher harrington luque jude medical macewen blake salem sump miller abbott cordis
    cook bard bjork björk hancock hufnagel ionescu lillehei kay duromedics omniscience perceval
    magna evoque mitraclip watchman amplatzer micra reveal linq advisa azure assurity
    """.split()
)
"""Surnames in the names of signs, diseases, devices and operations."""

WORDS = frozenset(
    """
    a abdomen abdominal above acute addendum adenopathy admission after again age air airway airspace all
    alveolar am an and angle anterior aorta aortic ap apex apical apices appearance are area artery as
    aspect assessment at atelectasis atrial atrium attending azygos back base bases basilar be been
    below bibasilar bilateral blunting body bone bones bony borderline both bowel breast bronchial
    bronchus bullet cabg calcification calcified calcifications cancer cardiac cardiology
    cardiomediastinal
    cardiomegaly cardiothoracic catheter caution cavity central change changes chest chronic clavicle
    clear clinic clinical clips coil collapse comparison complete compared compression computed
    conclusion condition congestion congestive consolidation consultant contrast contour contours
    copd correlation costophrenic covid ct cta cva cxr date degenerative dense density department
    detail device diaphragm diffuse digital disc discussed disease dose double down draft dr drain
    dual due duct ed edema effusion effusions elevated elevation emergency emphysema end endotracheal
    enlarged enlargement enteric er esophageal esophagus evaluation evidence exam examination expiratory
    exposure external extent facility fat femoral fever few fibrosis fibrotic field fields film films
    final finding findings fine first fissure fluid focal follow for foreign fracture fractures free
    frontal full gas gastric gastrostomy general generalized gi granuloma granulomas great gross ground
    had has have he head healed heart heavy hemidiaphragm hemithorax hemodialysis hepatic hernia hiatal
    high hila hilar hilum his history hospital humerus hx hyperinflation icu if ii iii iii il image
    images imaging implant impression in increase increased indication infection inferior infiltrate
    infiltrates information inspiration inspiratory interim internal interpretation interstitial
    interval intervention is it iv jugular kidney kub kv kvp kyphosis lad large lateral left leads
    lesion level life ligament line linear lines lingula list liver lobe lobes local low lower lucency
    lumbar lung lungs lvad lymph ma main male female man woman mass masses may med medial median
    mediastinal mediastinum medicine medical mid middle midline mild minimal mitral mode moderate
    monitor most motion mr mri multifocal multiple muscle nasogastric neck neoplasm new ng nicu no
    nodular nodule nodules non none normal not note notes now number nurse obese oblique of old
    on oncology one only opacities opacity or orogastric osseous osteopenia other out outpatient
    overlying pa pacemaker pain paraspinal parenchyma part patient patients pectus pediatrics peg
    pericardial peripheral person phone physician picc picu plain plate plates pleura pleural pneumonia
    pneumonitis pneumothorax port portable position positioning posterior postoperative power
    possible post prior probable procedure process prominent prominence prosthetic proximal
    pulmonary pulmonology quality question radiograph radiographs radiology radiologist
    read reading reason recommend recommendation recommendations referring report request resident
    residual resolution respiratory result results review rib ribs right rotated rotation rule sat
    scar scarring scoliosis screening second see seen segment semi series service severe shadow she
    shift short shoulder shunt sided significant silhouette similar single sinus size skin slight
    small soft spine spinal stable staff status stent sternal sternotomy sternum stomach stones
    studies study subclavian subcutaneous sub subsegmental summary superior supine support surgery surgical
    surgeon suspected svc symptoms team technique technologist tb team the there third this thoracic
    thorax three tip tissue tissues to today tomography top tortuous total trace trachea tracheal
    tracheostomy trauma tube tubes tumor two type ultrasound uncertain unchanged under unremarkable unit
    upper upright upper us valve valves vascular vascularity vein veins vena venous ventricle ventricular
    vertebra vertebral vessels view views viral visible volume volumes wall ward was week were wet wires
    with within work worsening x xr xray y year years zone zones january february march april june july
    august september october november december monday tuesday wednesday thursday friday saturday sunday
    befund beurteilung herz lunge lungen thorax aufnahme patient patientin keine kein kind
    poumon coeur cœur pas conclusion examen résultat corazón pulmón pulmones tórax hallazgos sin
    cuore polmoni torace referto esame nessun hart longen conclusie geen coração pulmões exame
    morbus hernie hernia ligne lignes linea línea lijn lijnen linie linien signe signo segno teken
    zeichen maladie enfermedad malattia ziekte syndrom syndrome síndrome sindrome cathéter katheter
    system systems general primary care provider team call desk office room floor clinic unit ed/er
    micu sicu ccu cticu or pacu anesthesia critical intensive internal family covering house officer
    him her them both family wife husband daughter son mother father parents caregiver transplant
    thoracics neurology nephrology orthopedics orthopaedics vascular hematology pediatric geriatrics
    tavi tavr swan lead sign hump line lines disease node nodes hook view projection foramen
    """.split()
)
"""Words that are written with a capital in reports and are no names."""

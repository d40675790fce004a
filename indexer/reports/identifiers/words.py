"""Words that decide whether capitals are a name: given names, eponyms, and words of a report."""

GIVEN_NAMES = frozenset(
    """
    aaron abdul abigail adam adele adrian agnes ahmad ahmed aisha alan albert alberto alejandro
    alessandro alex alexander alexandra alfred ali alice alicia alison amanda amelia amir amy
    ana andrea andreas andrew andré angela angelina anita anja ann anna anne anneke annette
    anthony antoine antonia antonio antónio arjun arthur ashley astrid audrey barbara barry
    beatrice beatriz ben benjamin bernard bernd betty beverly birgit bjorn bob brandon brenda
    brian bridget bruno camille carla carlos carmen carol caroline catherine cathy cecilia
    charles charlotte cheryl chiara chris christian christina christine christoph christopher
    claire clara claudia claus colin craig cynthia daniel daniela danielle dave david deborah
    debra dennis diana diane diego dieter dimitri dirk dmitri dominik donald donna doris dorothy
    douglas duncan edith eduardo edward eileen eleanor elena elisabeth elizabeth ellen emily
    emma enrique eric erica erik ernst esther eugene eva evelyn fatima felix fernando fiona
    florian frances francesca francesco francis francisco françois françoise frederick friedrich
    gabriel gabriela gary gemma geoffrey georg george georges gerald gerard gerhard giovanni
    giulia giuseppe gloria gonzalo gordon greg gregory gudrun guido guillermo gunther gustavo
    günter hannah hans harold harry hassan heather hector heidi heike heinrich helen helena
    helga helmut henri henrik henry herbert hiroshi howard hugh hugo ian ibrahim ignacio ingrid
    irene isabel isabella isabelle ivan jaap jack jacob jacqueline jacques jaime jake james
    jamie jan jane janet janice jason javier jean jeanne jeff jeffrey jennifer jeremy jerome
    jessica jill jim joan joana joanna joanne joao joe joel johan johann johanna johannes john
    jon jonas jonathan jorge jose josef joseph joshua josé joyce joão juan juana judith judy
    julia julian julie julio justin jürgen karen karin karl katarzyna kate katharina katherine
    kathleen kathryn katrin keith kelly kenneth kevin khalid kim kimberly kirsten klaus
    krzysztof kumar kurt lars laura lauren laurent lawrence lena leonard leonardo lewis liam
    linda lisa lorenzo louis louise luca lucas lucia lucy luigi luis luisa luiz lukas lynn
    magdalena manfred manuel marc marcel marcella marco marcos margaret margarita margot maria
    mariana marie marina mario marion marjan markus marta martha martin martina martine mary
    mateo mathias matteo matthew matthias maureen mauricio max megan mei melanie melissa
    mercedes michael michel michele michelle miguel mike mohamed mohammad mohammed monica monika
    muhammad nadia nancy natalia natalie nathalie nathan neil nicholas nicola nicolas nicole
    nigel nina norbert norman olga oliver olivia olivier omar oscar pablo pamela paola paolo
    patricia patrick patrizia paul paula paulo pedro peggy peter petra philip philippe pierre
    pieter pietro piotr priya rachel rafael rainer raj rajesh ralf ralph ramon raquel ravi
    raymond raúl rebecca regina renate ricardo richard rita rob robert roberta roberto rodrigo
    roger roland ronald rosa rosemary ross roy rudolf ruth ryan sabine sally samantha samuel
    sandra sanjay sara sarah sascha scott sean sebastian sergei sergio sharon sheila shirley
    silke silvia simon simone sofia sonia sophia sophie stefan stefanie stefano stephan
    stephanie stephen steve steven stuart sunita susan susana susanne suzanne sven sylvia tamara
    tanja tara teresa terry theodore theresa thomas thérèse tim timothy tina todd tom tomasz
    tony tracy ulrich ulrike ursula uwe valentina valerie vanessa vera veronica veronique victor
    victoria vikram vincent virginia vladimir walter wanda wayne wendy werner wilhelm willem
    william wolfgang xavier yasmin yolanda yuki yusuf yves zed zoe
    """.split()
)
"""Common given names in several languages, without those that are also words."""

EPONYMS = frozenset(
    """
    abbott abrams addison adson advisa alzheimer amplatz amplatzer apert arnold ascher ashman
    assurity austin azure baastrup babinski baker bankart bard barlow barrett barton bartter
    bechterew becker behcet behçet bence bennett bentall berlin bernoulli bezold bjork björk
    björk-shiley blake blakemore blalock bland blount bochdalek boeck boerhaave bouchard bovie
    braun broviac bruton bucky budd burkitt caffey calve cameron caplan carney caroli carpentier
    carvallo castleman celestin chagas chance charcot chassaignac cheyne chiari chilaiditi
    cholesky churg clara cobb codivilla codman colles cook cooley cope cordis cornell corrigan
    crohn cushing dacron dandy davis dawson debakey dercum desilets dieulafoy dobhoff doppler
    down dressler duchenne dunlop duromedics ebstein edwards ehlers eisenmenger ellis evoque
    ewing fallot felson felty fick fiedler fischer fisher fleischner fleming floating fogarty
    foley fontan freiberg friedländer frostberg galeazzi garland garré gaucher ghon glenn godman
    golden goldenhar goodpasture gore gorham gorlin graham grawitz greenfield greenspan groh
    groshong guillain haglund hamman hampton hancock hand harrington hashimoto heberden hegglin
    heimlich heinz hemlock henoch hickman hill hinton hippel hodgkin hoffman hohl holmes holt
    holter horner hounsfield hufnagel hughes hunter huntington hutchinson ionescu ivemark
    jackson jarvik jeune jones jude juhl kaplan kaposi kartagener kawasaki kay kerley kienbock
    kienböck king kirschner klatskin klebsiella klippel knutsson kocher kohler kommerell konno
    koplik kulchitsky kussmaul kveim köhler laennec lambert langerhans larrey legg leriche levin
    levine lhermitte libman lillehei linq lisfranc lister loeffler loffler lofgren looser louis
    ludwig luer luftsichel luque luschka lyme löffler löfgren macewen macleod maffucci magna
    malgaigne mallory mantoux marfan marie martell maydl meckel medical medtronic meigs
    mendelson micra mikulicz miller milroy mitraclip monaldi mondor monge monro montgomery moore
    morgagni morison morquio moses mounier mueller mustard naclerio nissen noonan norwood nuss
    oliver ollier omniscience ormond osler paget palmaz pancoast parkes parkinson patau perceval
    peutz plummer poland pompe port pott poupart pratt pringle quain quincke ranke rasmussen
    ravitch raynaud reid reiter rendu rett reveal reynolds ricketts riedel rigler roesler ross
    rotch roux russell sahli salem salter sapien sauvage scadding schatzki scheuermann schilling
    schmorl schüller scimitar seldinger sengstaken senning sever sharp shiley shone sievert
    silverman simmonds simon sjogren sjögren sluder smith spigelian sprengel starr steell steno
    stewart still stokes sturge sump swan swyer sydenham takayasu taussig teichholz tenckhoff
    tietze trousseau truncus turner twining valsalva valsava vater vidal virchow wagner watchman
    weber wegener weil weill wenckebach westermark whipple white william williams willis wilms
    wilson wolff wolffian xenopi yersinia zenker ziehl zollinger zuckerkandl
    """.split()
)
"""Surnames in the names of signs, diseases, devices and operations."""

WORDS = frozenset(
    """
    a abdomen abdominal abnormal above absent acute addendum adenopathy admission after
    afternoon again age air airspace airway all alveolar am an and anesthesia angle anomaly
    anterior aorta aortic ap apex apical apices appearance appropriate april are area artery as
    aspect assessment at atelectasis atrial atrium attending aufnahme august azygos back base
    bases basilar be been befund below beurteilung bibasilar bilateral biotronik blunting body
    bone bones bony borderline both bowel breast bronchial bronchus bullet cabg calcification
    calcifications calcified call cancer cardiac cardiology cardiomediastinal cardiomegaly
    cardiothoracic care caregiver catheter catheters cathéter caution cavity ccu central change
    changes chat chest chronic clavicle clear clinic clinical clinician clips coeur coil
    collapse compared comparison complete compression computed conclusie conclusion condition
    congestion congestive consolidation consultant consulting contour contours contrast copd
    corazón coração correlation costophrenic covering covid critical ct cta cticu cuore cva cxr
    cœur date daughter december degenerative dense density department desk detail device
    diaphragm diffuse digital disc discussed disease doctors dose double down dr draft drain
    dual duct due ed ed/er edema effusion effusions elevated elevation email emergency emphysema
    end endotracheal enfermedad enlarged enlargement enteric epic er esame esophageal esophagus
    evaluation evening evidence exam exame examen examination expiratory exposure extent
    external facility family fat father february fellow female femoral fever few fibrosis
    fibrotic field fields film films final finding findings fine first fissure floor fluid focal
    follow following for foramen foreign fracture fractures free friday frontal full gas gastric
    gastrostomy geen general generalized generator generators geriatrics gi granuloma granulomas
    great gross ground had hallazgos hart has have he head healed heart heavy hematology
    hemidiaphragm hemithorax hemodialysis hepatic her hernia hernie herz hiatal high hila hilar
    hilum him his history hook hospital hospitalist house humerus hump husband hx hyperinflation
    icu if ii iii il image images imaging implant impression in increase increased indication
    infection inferior infiltrate infiltrates information inspiration inspiratory intensive
    intensivist interim intern internal interpretation interpreting interstitial interval
    intervention is it iv january jugular july june katheter kein keine kidney kind kub kv kvp
    kyphosis lad large lateral lead leads left lesion level life ligament ligne lignes lijn
    lijnen line linea linear lines lingula linie linien list liver lobe lobes local longen low
    lower lucency lumbar lung lunge lungen lungs lvad lymph línea ma main maladie malattia male
    man march mass masses may med medial median mediastinal mediastinum medical medicine message
    micu mid middle midline mild minimal mitral mode moderate monday monitor morbus morning most
    mother motion mr mri multifocal multiple muscle nasogastric neck neoplasm nephrology nessun
    neurology new ng nicu no node nodes nodular nodule nodules non none normal not note notes
    november now number nurse nurses obese oblique october of office officer old on oncology one
    only opacities opacity or ordering orogastric orthopaedics orthopedics osseous osteopenia
    other out outpatient overlying overnight pa pacemaker pacu pager pain paraspinal parenchyma
    parents part pas patient patientin patients pectus pediatric pediatrics peg pericardial
    peripheral person phone physician physicians picc picu plain plate plates pleura pleural
    pneumonia pneumonitis pneumothorax polmoni port portable position positioning possible post
    posterior postoperative poumon power practitioner present primary prior probable procedure
    process projection prominence prominent prosthetic provider provider's providers proximal
    pulmonary pulmones pulmonology pulmón pulmões quality question radiograph radiographer
    radiographs radiologist radiology ray rays read reading reason recommend recommendation
    recommendations referring referto registrar report request requesting resident residents
    residual resolution respiratory result results review rib ribs right room rotated rotation
    rule résultat same sat saturday scar scarring scoliosis screening second secretary secure
    see seen segment segno semi september series service severe shadow she shift short shoulder
    shunt sicu sided sign signe significant signo silhouette similar sin sindrome single sinus
    size skin slight small soft son sonographer spinal spine stable staff status stent sternal
    sternotomy sternum stomach stones studies study sub subclavian subcutaneous subsegmental
    summary sunday superior supervising supine support surgeon surgery surgical suspected svc
    swan symptoms syndrom syndrome system systems síndrome tavi tavr tb team technique
    technologist teken telephone text the them there third this thoracic thoracics thorax three
    thursday tip tissue tissues to today tomography tonight top torace tortuous total trace
    trachea tracheal tracheostomy transplant trauma treating triad tube tubes tuesday tumor two
    type typist tórax ultrasound unavailable uncertain unchanged under unit units unremarkable
    upper upright us valve valves vascular vascularity vein veins vena venous ventricle
    ventricular veriphy vertebra vertebral vessels view views viral visible voicemail volume
    volumes wall ward was wednesday week were wet wife wires with within woman work worsening x
    x-ray xr xray y year years zeichen ziekte zone zones
    """.split()
)
"""Words that are written with a capital in reports and are no names."""

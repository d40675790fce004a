"""Full dates and ages over 89, in the forms of many countries."""

import re

_MONTH = (
    r"(?:jan(?:uary|uar|uari|vier|eiro|uarie)?|feb(?:ruary|ruar|ruari|ruarie)?|f[ée]v(?:rier|ereiro"
    r")?|febrero|febbraio|gennaio|enero|ene|mar(?:ch|s|zo|ço|tie|et)?|märz|mrt|maart|marts?"
    r"|apr(?:il|ile|ilie)?|avr(?:il)?|abr(?:il)?|aprel|may|mai|mayo|maggio|mei|maio|maj|maja|june?"
    r"|juni|juin|junio|giugno|junho|iunie|july?|juli|juillet|julio|luglio|julho|iulie"
    r"|aug(?:ust|ustus|usti)?|ao[uû]t|agosto|sept?(?:ember|embre|tembre|tiembre|tember)?|settembre"
    r"|setembro|septembrie|oct(?:ober|obre|ubre|ombrie)?|okt(?:ober)?|ottobre|outubro"
    r"|nov(?:ember|embre|iembre|embro)?|noiembrie|dec(?:ember|embrie)?|dez(?:ember|embro)?"
    r"|d[ée]c(?:embre)?|dic(?:iembre|embre)?|jänner"
    r"|stycznia|lutego|marca|kwietnia|czerwca|lipca|sierpnia|września|października|listopada"
    r"|grudnia|ledna|února|března|dubna|května|června|července|srpna|září|října|listopadu|prosince"
    r"|januára|februára|apríla|mája|júna|júla|augusta|septembra|októbra|novembra|decembra"
    r"|января|февраля|марта|апреля|мая|июня|июля|августа|сентября|октября|ноября|декабря"
    r"|січня|лютого|березня|квітня|травня|червня|липня|серпня|вересня|жовтня|листопада|грудня"
    r"|ocak|şubat|nisan|mayıs|haziran|temmuz|ağustos|eylül|ekim|kasım|aralık"
    r"|január|február|március|április|május|június|július|augusztus|szeptember|október"
    r"|(?:tammi|helmi|maalis|huhti|touko|kesä|heinä|elo|syys|loka|marras|joulu)kuuta"
    r"|ιανουαρίου|φεβρουαρίου|μαρτίου|απριλίου|μαΐου|ιουνίου|ιουλίου|αυγούστου|σεπτεμβρίου"
    r"|οκτωβρίου|νοεμβρίου|δεκεμβρίου|januari|februari|maret|agustus|desember|juny|gener|febrer"
    r"|siječnja|veljače|ožujka|travnja|svibnja|lipnja|srpnja|kolovoza|rujna|studenoga|prosinca"
    r")(?![^\W\d_])\.?"
)
_ROMAN = r"(?:I{1,3}|I?V|VI{1,3}|I?X|XI{1,2})"
_YEAR = r"(?:(?:19|20)\d\d|['’]\d\d)(?!\d)"
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_DAYS = r"(?:st|nd|rd|th|er|º|°|ª|-?го|a|en|de)?"
_WEEKDAY = r"(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day,? )?"

_NUMERIC = (
    rf"\d{{1,2}}(?P<_one>[/.-]){_DAY}(?P=_one)(?:19|20)\d\d"
    r"|\d{1,2}\.[ ]\d{1,2}\.[ ]?(?:19|20)\d\d"
    rf"|(?:19|20)\d\d(?P<_two>[/.-])\d{{1,2}}(?P=_two){_DAY}(?:[T ]\d\d:\d\d(?::\d\d"
    rf"(?:\.\d+)?)?Z?)?"
    r"|\d{1,2}/\d{1,2}/\d\d"
    r"|(?:0?[1-9]|[12]\d|3[01])-(?:0[1-9]|[12]\d|3[01])-\d\d"
    r"|(?:0?[1-9]|[12]\d|3[01])\.(?:0[1-9]|1[0-2])\.\d\d(?![\d.]*\d)"
    r"|\d{1,2}\.\d{1,2}\.\d\d(?=\s*(?:\)|$|[,;]))"
    r"|(?:19[0-9]\d|20[0-4]\d)(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d"
    r"|3[01])(?:[0-2]\d[0-5]\d(?:[0-5]\d)?)?"
)
_WRITTEN = (
    rf"{_WEEKDAY}{_MONTH}[ -]{_DAY}{_DAYS}[ ,-]{{1,2}}{_YEAR}"
    rf"|{_WEEKDAY}{_DAY}{_DAYS}\.?(?: de| of|\.)?[ /.-]?{_MONTH}(?: de| del|,)?[ /.-]?"
    rf"(?:{_YEAR}|\d\d(?![\d:]|\.\d))(?: ?(?:г\.|р\.))?"
    rf"|(?:19|20)\d\d\.? {_MONTH} {_DAY}\.?"
    rf"|(?:19|20)\d\d[-/ ]{_MONTH}[-/ ]{_DAY}"
    r"|(?:mon|tues|wednes|thurs|fri|satur|sun)day,? "
    rf"(?:the )?(?:{_DAY}{_DAYS} (?:of )?{_MONTH}|{_MONTH} {_DAY}{_DAYS})"
)
_ROMAN_DATE = rf"{_DAY}[ ./-]{{1,2}}(?-i:{_ROMAN})[ ./-]{{1,2}}(?:(?:19|20)\d\d|\d\d)(?!\d)"
_EAST = (
    r"(?:[MTSHR]\d{1,2}\.\d{1,2}\.\d{1,2}|(?:明治|大正|昭和|平成|令和|民國|民国"
    r"|[MTSHR])?\s?(?:\d{1,4}"
    r"|元)\s?[年년]\s?\d{1,2}\s?[月월]"
    r"\s?\d{1,2}\s?[日号號일]|[१२३४५६७८९०]{1,4}[/-][१२३४५६७८९०]{1,2}[/-][१२३४५६७८९०]{1,4}"
    r"|[\u0660-\u0669\u06f0-\u06f9]{1,4}[/.-][\u0660-\u0669\u06f0-\u06f9]{1,2}[/.-]"
    r"[\u0660-\u0669\u06f0-\u06f9]{1,4})"
)
DATE = rf"(?:{_WRITTEN}|{_ROMAN_DATE}|{_EAST}|(?:{_NUMERIC})(?!\d))"
"""A full date; it has two named groups, so a pattern can use it once."""

_FULL_MONTH = (
    r"(?:January|February|March|April|June|July|August|September|October|November|December|Jan|Feb"
    r"|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\.?"
)
BIRTH_YEAR = re.compile(
    r"(?<!\d)(?:19|20)\d\d(?= ?(?:г\. ?р|р\. ?н|年生))"
    r"|(?P<keep>\b(?i:nar\.|narozen[aý]?|born(?: in)?|ur\.|sinh năm|năm sinh|jahrgang|jg\.|rocznik"
    r"|född|født|né en|née en"
    r"|nacid[oa] en|nat[oa] nel|nascid[oa] em|geboren in|birth year|year of birth|yob"
    r"|d\.d\.)[ :]{1,2})(?:19|20)\d\d\b(?![-/.]\d)"
)
"""A year of birth."""
_STUDY = (
    r"studies|study|exam(?:ination)?s?|films?|radiographs?|x-?rays?|cxrs?|images?|imaging|scans?|ct"
    r"|priors?|comparisons?|compared|reports?|opacity|opacities|effusions?|infiltrates?"
    r"|consolidations?|nodules?|pneumothorax|pneumothoraces|findings?|admission|surgery|operation"
    r"|visit|seen|noted|done|taken|performed|obtained|placed|inserted|admitted|removed|aufnahme"
    r"|röntgen\w*|untersuchung|vergleich|clich[ée]|radiographie|placa|radiograf[ií]a|rx"
)
DAY_OF_YEAR = re.compile(
    rf"(?<![\w/.-])(?:(?:{_FULL_MONTH}|(?<=on )May|(?<=of )May|(?<=from )May|(?<=dated )May"
    rf"|(?<=since )May) {_DAY}(?:st|nd|rd|th)?(?![\w/-]|[.,:]\d|\s?(?:mm|cm|ml|mg|days?|%|of))"
    rf"|{_DAY}(?:st|nd|rd|th)? (?:of )?(?:{_FULL_MONTH}(?![\w-])|May(?![\w-]|[’']s| (?:be|have|not"
    rf"|represent|also|reflect|relate|indicate|show|suggest)))"
    rf")(?![\w/])"
)
"""A day without a year, with its month in letters."""
DAY_IN_FIGURES = re.compile(
    r"(?:(?<=dated )|(?<=study from )|(?<=exam from )|(?<=film from )|(?<=radiograph from )"
    r"|(?<=\[\*\*date\*\*\], )|(?<=\[\*\*date\*\*\] and ))(?<![\w/.-])\d{1,2}/\d{1,2}(?![\w/])"
    rf"|(?P<keep>\b(?i:(?:{_STUDY})\b[^.;\d\n]{{0,30}}? (?:of|on|from|since|dated|vom|du|del)"
    r"|since|dated) (?:the )?)"
    r"(?:(?:0?[1-9]|1[0-2])/(?:0?[1-9]|[12]\d|3[01])|(?:1[3-9]|2\d|3[01])/(?:0?[1-9]|1[0-2]))"
    r"(?![\w/%]|[.,]\d|-\d| ?(?i:of|mm|cm|ribs?|views?|leads?|lobes?|zones?|slices?|images?"
    r"|films?|occasions?|levels?|pages?|frames?)\b)"
    r"|(?P<keep_by>(?<!GCS )(?<!score )\b(?:of|on|from) )"
    r"(?:[1-9]|1[0-2])/(?:1[3469]|17|19|2[1-35-9]|31)(?![\w/%]|[.,]\d|-\d)"
    r"|(?P<keep_dot>\b(?i:vom|am|seit|zum|on|from|of) )(?:1[3-9]|2\d|3[01])\.(?:0?[1-9]|1[0-2])"
    r"(?=\.(?!\d)|[,;)]|$)"
    r"|(?P<keep_am>\b(?i:vom|seit|zum) )\d{1,2}\.(?:0?[1-9]|1[0-2])\.(?!\d)"
    r"|(?P<keep_film>\b(?i:films?|study|x-ray|radiograph|cxr|image), )\d{1,2}/\d{1,2}(?=[,;])"
    r"|(?P<keep_on>\b(?i:on) )(?!(?P<_same>[1-9])/(?P=_same)\b|[1-4]/[2-5]\b"
    r"|\d{1,2}/10\b)(?:0?[1-9]|1[0-2])/"
    r"(?:0?[1-9]|[12]\d|3[01])"
    r"(?=[.,;)]{0,2}(?:\s*$|\n| (?:at|and|by|with|from|for|in|after|which|to)\b)|;)"
)
"""A day without a year, in figures ("the film of 4/17", "vom 28.9.")."""
FIGURES = re.compile(r"\d[/.]\d")
"""What a text has in which there is one."""

AGE = re.compile(
    r"(?<![\w.,/-])(?:9\d|1[01]\d)(?=(?: ?Y(?:/[MF]|\b)|"
    r"[ -]?(?:years?|yrs?|yr|y)[ -]?(?:old|o\b|of age)|"
    r"[ -]?y[./]?o\b|[ -]?jährig| ?[-/] ?[MFmfw]\b| ?[MF]\b(?![/-])| ans\b| años\b| anni\b| jaar\b"
    r"| anos\b|-letni| lat\b| let\b| лет\b| год|[ -]årig| år\b| éves\b| ani\b| yaş|-vuotias"
    r"| Jahre\b"
    r"|岁|歳|才|세|살))"
    r"|(?<=\([MF]/)(?:9\d|1[01]\d)(?=\))|(?<=\b[MF]/)(?:9\d|1[01]\d)\b"
    r"|(?:(?<=aged )|(?<=Aged )|(?<=AGED )|(?<=age )|(?<=Age )|(?<=age: )|(?<=Age: )|(?<=AGE: )"
    r"|(?<=Alter: )|(?<=Alter )|(?<=Edad: )|(?<=Âge : )|(?<=Età: )|(?<=Idade: )|(?<=Leeftijd: ))"
    r"(?:9\d|1[01]\d)(?![\w%]|[./]\d| ?(?:%|mm|cm|days|weeks|months|pack))"
)
"""An age over 89, in years."""
_OVER_89 = r"(?:9\d|1[01]\d)"
_WORDS_OVER_89 = (
    r"(?:ninety(?:-\w{3,5})?|(?:a |one )?hundred(?:[- ](?:and[- ])?\w{3,10}(?:-\w{3,5})?)?)"
)
AGE_IN_WORDS = re.compile(
    rf"\b(?i:{_WORDS_OVER_89})(?=[- ](?i:years?)[- ](?i:old))"
    rf"|\b(?i:(?P<keep>aged?:? )ninety(?:[- ](?:one|two|three|four|five|six|seven|eight|nine))?)\b"
)
"""An age over 89 that is written out."""
_ORDINAL = r"(?:9\d(?:th|st|nd|rd)|1[01]\d(?:th|st|nd|rd)|ninet(?:ieth|y-\w{4,7})|hundredth)"
_ENDS = (
    r"(?=\.?(?:\s*$|\n)|\. |[,;)]| (?:and|who|with|but|now|today|years|yrs|or|last|this|next|on"
    r"|in)\b)"
)
AGE_OF_PERSON = re.compile(
    r"(?P<keep>(?:\[\*\*name\*\*\],?|\b(?i:she|he|patient|pt|lady|gentleman|man|woman|mother|father"
    r"|resident|grandmother|grandfather|husband|wife|who))"
    r"(?: is|'s|’s| was| turned| turns| has turned|, now|, aged)(?: now| aged| nearly| almost| over"
    r"| already| only| about| just| recently)? )"
    rf"(?i:{_OVER_89}|{_WORDS_OVER_89}){_ENDS}"
    r"|(?P<keep_by>\b(?i:man|woman|lady|gentleman|patient|female|male|mother|father) of )"
    rf"(?i:{_OVER_89}|{_WORDS_OVER_89})(?![\w%./]| ?(?:mm|cm|kg|mmHg|lb|pack)\b)"
    r"|(?P<keep_lot>\b(?i:her|his|their|the patient's) )(?i:"
    rf"{_ORDINAL})(?= (?:year|birthday)\b)"
)
"""An age over 89 that the words of the sentence give a person ("Mrs Roe is 101")."""

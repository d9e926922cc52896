"""The words that personas are composed of. Changing a list changes what a record of a given seed has."""

from collections.abc import Mapping

TRAIT_LABELS = ("very low", "low", "average", "high", "very high")
"""T-scores below 35, 45, 55, 65, and from 65."""

TRAIT_WORDS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "openness": (
        (
            "set in their ways",
            "Keeps to what is known and sees little use in abstract ideas.",
        ),
        ("down to earth", "Prefers the practical and the predictable to the new."),
        (
            "open-minded within reason",
            "Likes a new idea now and then and keeps what works.",
        ),
        ("curious", "Enjoys new ideas, art and places."),
        (
            "endlessly curious",
            "Is drawn to everything unknown, the more unusual the better.",
        ),
    ),
    "conscientiousness": (
        ("carefree", "Lives in the moment and rarely plans."),
        ("easy-going", "Takes duties lightly and deadlines as suggestions."),
        ("fairly organised", "Plans what matters and improvises the rest."),
        ("reliable", "Plans ahead and finishes what was started."),
        ("meticulous", "Leaves nothing to chance and expects much of themselves."),
    ),
    "extraversion": (
        ("very private", "Recovers alone and finds company tiring."),
        ("reserved", "Prefers a few friends to a crowd."),
        ("sociable at times", "Likes company and time alone in equal measure."),
        ("outgoing", "Seeks company and talks easily to strangers."),
        ("the centre of every room", "Lives for company and is seldom quiet."),
    ),
    "agreeableness": (
        ("blunt", "Doubts the motives of others and says so."),
        ("competitive", "Would rather be right than liked."),
        ("fair", "Helps readily and stands up for themselves."),
        ("considerate", "Puts the peace of the group before their own way."),
        ("selfless", "Cannot refuse anyone who needs help."),
    ),
    "neuroticism": (
        ("unshakeable", "Hardly anything disturbs their calm."),
        ("calm", "Takes trouble as it comes and sleeps well."),
        ("even-tempered", "Worries about what is worth it and recovers."),
        ("anxious", "Worries early and often."),
        ("easily upset", "Feels every setback deeply and for long."),
    ),
}

HOBBIES = (
    "hiking", "chess", "gardening", "photography", "baking", "running", "reading crime novels",
    "birdwatching", "choir singing",
    "cycling", "woodworking", "swimming", "board games", "knitting", "fishing", "playing the guitar", "yoga", "painting",
    "video games", "pottery", "dancing", "football", "astronomy", "restoring old furniture",
    "volunteering", "travelling by train",
    "writing poems", "table tennis", "collecting records", "learning languages",
)  # fmt: skip
SKILLS = (
    "careful planning", "explaining things simply", "negotiation", "spreadsheets", "first aid",
    "public speaking", "repairing things",
    "project management", "customer service", "writing", "mental arithmetic", "teamwork", "data analysis",
    "budgeting", "teaching",
    "conflict resolution", "technical drawing", "research", "organising events", "programming",
    "listening", "cooking for many",
    "driving", "bookkeeping",
)  # fmt: skip

PHRASES: Mapping[str, tuple[str, ...]] = {
    "finance_persona": (
        "saves a fixed sum every month", "spends freely and checks the account later", "avoids debt at any price",
        "compares prices before every purchase", "invests a little in funds", "is paying off a loan",
    ),
    "healthcare_persona": (
        "goes to every check-up", "sees a doctor only when there is no other way", "trusts home remedies first",
        "keeps an eye on blood pressure", "exercises to stay well", "reads much about health",
    ),
    "sports_persona": (
        "watches every match of the local team", "plays in an amateur team", "exercises alone, in the morning",
        "has little interest in sports", "trains for a long race each year", "prefers walking to any sport",
    ),
    "arts_persona": (
        "visits museums on holidays", "goes to concerts whenever possible", "watches films at home",
        "plays in an amateur theatre", "reads more than anyone in the family", "has little time for the arts",
    ),
    "travel_persona": (
        "spends holidays at home", "travels by train through the country", "plans one long journey a year",
        "returns to the same place every summer", "likes cities more than beaches", "travels mostly to see relatives",
    ),
    "culinary_persona": (
        "cooks the dishes of their childhood", "tries a new recipe every week", "eats out more often than in",
        "does not eat meat", "is known for their cakes", "prefers simple food, quickly made",
    ),
    "career_goals_and_ambitions": (
        "wants to lead a small team", "hopes for more time with the family", "plans to start a business",
        "would like to learn another trade", "is content with things as they are", "looks forward to teaching others",
    ),
    "religious_persona": (
        "keeps the holidays with the family", "prays every day", "seldom attends services",
        "helps in the community of the faith",
    ),
    "aspects": (
        "is slow to decide and then firm", "is at their best under pressure", "values tradition",
        "asks before acting", "keeps promises",
    ),
    "digital_skills": (
        "uses a phone for everything", "prefers paper to screens", "helps relatives with their computers",
        "shops and banks online", "knows office programs well",
    ),
}  # fmt: skip

_INDIAN: Mapping[str, tuple[str, ...]] = {
    "religion": ("Hindu", "Muslim", "Christian", "Sikh", "Buddhist", "Jain"),
    "education_degree": (
        "Below primary",
        "Primary",
        "Middle",
        "Secondary",
        "Higher secondary",
        "Graduate and above",
    ),
    "zone": ("Urban", "Rural"),
}
CENSUS_VALUES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "en_US": {
        "ethnic_background": (
            "White", "Black or African American", "Hispanic or Latino", "Asian", "American Indian or Alaska Native",
            "Native Hawaiian or Other Pacific Islander", "Two or more",
        )
    },
    "en_IN": _INDIAN,
    "hi_Deva_IN": _INDIAN,
    "hi_Latn_IN": _INDIAN,
    "pt_BR": {
        "race": ("Branca", "Parda", "Preta", "Amarela", "Indígena"),
        "religion": ("Católica Apostólica Romana", "Evangélica", "Espírita", "Umbanda e Candomblé", "Sem religião"),
    },
    "fr_FR": {
        "household_type": (
            "Personne seule", "Couple sans enfant", "Couple avec enfant(s)", "Famille monoparentale", "Autre ménage",
        ),
        "is_first_gen_immigrant": ("Non", "Oui"),
    },
}  # fmt: skip
"""Locale to census field to values: the categories of the national census. What is not here is null."""

_LANGUAGES = (
    "Hindi", "Bengali", "Marathi", "Telugu", "Tamil", "Gujarati", "Urdu", "Kannada", "Odia", "Malayalam",
    "Punjabi", "English",
)  # fmt: skip
LANGUAGES: Mapping[str, tuple[str, ...]] = dict.fromkeys(
    ("en_IN", "hi_Deva_IN", "hi_Latn_IN"), _LANGUAGES
)

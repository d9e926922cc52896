"""In which language a text is, by py3langid: a naive Bayes model over byte n-grams for 142 languages, of 5 MB, without a network.

Source: Lui and Baldwin 2012, langid.py. The library is an optional extra, loaded when a rule asks for it.
"""

from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sdg_core.errors import FilterError
from sdg_core.plan.names import did_you_mean


def language_probability(texts: pl.Series, language: str) -> NDArray[np.float64]:
    """How likely each text is in a language (ISO 639-1 code), from 0 to 1; 0 for a null or a text of white space only.

    Raises FilterError if the library is not installed or does not know the language.
    """
    identifier = _identifier()
    known = [str(code) for code in identifier.nb_classes]
    if language not in known:
        raise FilterError(
            f"quality rule 'language': unknown language {language!r}{did_you_mean(language, known)}"
        )
    values = np.zeros(len(texts))
    for row, text in enumerate(texts):
        if text is not None and text.strip():
            values[row] = dict(identifier.rank(text))[language]
    return values


@lru_cache(maxsize=1)
def _identifier() -> Any:
    if find_spec("py3langid") is None:
        raise FilterError(
            "quality rule 'language' requires the library py3langid",
            remedy="pip install 'sdg-dagster[language]'",
        )
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)

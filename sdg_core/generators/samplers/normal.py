"""Quantiles of the normal distribution, without scipy: the sampler that nearly every dataset has needs no library for it.

The approximation is `ndtri` of the Cephes library (Moshier 1989), as in `scipy.special.ndtri`, operation by operation, so the
values are the same to the last bit. Logarithms are those of the C library: numpy's differ in the last bit between processors.
"""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_TAIL = 0.13533528323661269189  # exp(-2)
_FAR = 8.0
_SQRT_2PI = 2.50662827463100050242
_CENTRE = (
    (
        -5.99633501014107895267e1,
        9.80010754185999661536e1,
        -5.66762857469070293439e1,
        1.39312609387279679503e1,
        -1.23916583867381258016e0,
    ),
    (
        1.0,
        1.95448858338141759834e0,
        4.67627912898881538453e0,
        8.63602421390890590575e1,
        -2.25462687854119370527e2,
        2.00260212380060660359e2,
        -8.20372256168333339912e1,
        1.59056225126211695515e1,
        -1.18331621121330003142e0,
    ),
)
_NEAR_TAIL = (
    (
        4.05544892305962419923e0,
        3.15251094599893866154e1,
        5.71628192246421288162e1,
        4.40805073893200834700e1,
        1.46849561928858024014e1,
        2.18663306850790267539e0,
        -1.40256079171354495875e-1,
        -3.50424626827848203418e-2,
        -8.57456785154685413611e-4,
    ),
    (
        1.0,
        1.57799883256466749731e1,
        4.53907635128879210584e1,
        4.13172038254672030440e1,
        1.50425385692907503408e1,
        2.50464946208309415979e0,
        -1.42182922854787788574e-1,
        -3.80806407691578277194e-2,
        -9.33259480895457427372e-4,
    ),
)
_FAR_TAIL = (
    (
        3.23774891776946035970e0,
        6.91522889068984211695e0,
        3.93881025292474443415e0,
        1.33303460815807542389e0,
        2.01485389549179081538e-1,
        1.23716634817820021358e-2,
        3.01581553508235416007e-4,
        2.65806974686737550832e-6,
        6.23974539184983293730e-9,
    ),
    (
        1.0,
        6.02427039364742014255e0,
        3.67983563856160859403e0,
        1.37702099489081330271e0,
        2.16236993594496635890e-1,
        1.34204006088543189037e-2,
        3.28014464682127739104e-4,
        2.89247864745380683936e-6,
        6.79019408009981274425e-9,
    ),
)
_Ratio = tuple[tuple[float, ...], tuple[float, ...]]


def standard_normal(unit: Floats) -> Floats:
    """The values below which a share `unit` of a standard normal distribution lies; each above 0 and below 1."""
    above = unit > 1 - _TAIL
    share = np.where(above, 1 - unit, unit)
    central = share > _TAIL
    values = np.empty(len(unit))
    centred = share[central] - 0.5
    square = centred * centred
    values[central] = (
        centred
        + centred
        * (square * _polynomial(_CENTRE[0], square) / _polynomial(_CENTRE[1], square))
    ) * _SQRT_2PI
    root = np.sqrt(-2.0 * _log(share[~central]))
    inverse = 1.0 / root
    corrections = np.where(
        root < _FAR, _correction(_NEAR_TAIL, inverse), _correction(_FAR_TAIL, inverse)
    )
    tail = root - _log(root) / root - corrections
    values[~central] = np.where(above[~central], tail, -tail)
    return values


def _correction(ratio: _Ratio, inverse: Floats) -> Floats:
    return inverse * _polynomial(ratio[0], inverse) / _polynomial(ratio[1], inverse)


def _polynomial(coefficients: tuple[float, ...], at: Floats) -> Floats:
    value = np.full(len(at), coefficients[0])
    for coefficient in coefficients[1:]:
        value = value * at + coefficient
    return value


def _log(values: Floats) -> Floats:
    return np.fromiter(map(math.log, values.tolist()), np.float64, len(values))

"""Whether a distribution has quantiles, asked in a process whose time and memory are bounded.

Some distributions of scipy sum up millions of terms, or search without end, for parameters that look harmless (zipfian,
betanbinom, hypergeom, ksone). Importing this module imports scipy, which the process does before its memory is bounded.
"""

import signal
from typing import Any

import numpy as np
from scipy import stats

_MAX = 2.0**63
_CPU_SECONDS = 2.0
_PROBES = (0.25, 0.5, 0.75)


def have_quantiles(request: Any, ask: object = None) -> bool:
    """Whether the probes of a distribution, `{"name": ..., "params": ...}`, are finite, and whole ones fit into 64 bits."""
    kind = getattr(stats, request["name"])
    with np.errstate(all="ignore"):
        try:
            values = np.asarray(kind(**request["params"]).ppf(_PROBES), np.float64)
        except (ValueError, ArithmeticError, RuntimeError, MemoryError):
            return False
    if not np.isfinite(values).all():
        return False
    if isinstance(kind, stats.rv_discrete):
        return bool((np.abs(values) < _MAX).all())
    return True


def have_quantiles_soon(request: Any, ask: object = None) -> bool:
    """The same, for a process of its own, which ends once it has taken too much CPU time, however busy the machine is."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, _CPU_SECONDS)
    found = have_quantiles(request)
    signal.setitimer(signal.ITIMER_PROF, 0)
    return found

"""Checks that span several parts of a dataset file: names, references, cycles, model aliases, processors.

`check_config` returns every problem it finds instead of raising at the first. Seed columns are known only once the seed data
has been looked at; before that (`seed_columns=None`) unknown names are accepted in a config that has seed data.
"""

import re
from collections import Counter
from collections.abc import Iterable

from sdg_core.config.columns import (
    ChatColumn,
    Column,
    CustomColumn,
    ModelColumn,
    SeedColumn,
)
from sdg_core.config.dataset import AS_SEED, DatasetConfig
from sdg_core.config.models import ANY_COLUMN
from sdg_core.config.yaml_document import Path, Problems
from sdg_core.plan.checks.budget import budget_faults
from sdg_core.plan.checks.constraints import (
    check_constraint_names,
    check_samplers_in_graph,
)
from sdg_core.plan.checks.custom import check_custom
from sdg_core.plan.checks.model_columns import (
    check_fields,
    check_model_column,
    struct_types,
)
from sdg_core.plan.checks.processors import check_processors
from sdg_core.plan.checks.samplers import SamplerContext, check_sampler
from sdg_core.plan.checks.seeds import check_seeds
from sdg_core.plan.checks.select import check_select
from sdg_core.plan.checks.skip import check_skip
from sdg_core.plan.checks.tools import check_tools
from sdg_core.plan.checks.validation import check_validation
from sdg_core.plan.graph import ColumnGraph, build_graph, find_cycles
from sdg_core.plan.kinds import (
    producers_of,
    references_of,
    side_effects_of,
    templates_of,
)
from sdg_core.plan.models import is_circular, used_models
from sdg_core.plan.names import did_you_mean, duplicates, looks_like_env_var
from sdg_core.plan.row_groups import (
    MAX_ROW_GROUPS,
    row_group_count,
    too_many_row_groups,
)
from sdg_core.plan.templates.engine import (
    RESERVED,
    TemplateSyntaxError,
    chooses,
    condition_fault,
    template_references,
)

_MAX_SHOWN_TEMPLATE = 80
_ELSE_IF = re.compile(r"\{%-?\s*else\s+if\b")


def check_config(
    config: DatasetConfig,
    *,
    seed_columns: Iterable[str] | None = None,
    also_known: Iterable[str] = (),
    graph: ColumnGraph | None = None,
) -> list[tuple[Path, str]]:
    """Every problem of a structurally valid config, as `(path, message)`.

    seed_columns: names in the seed data, None while unknown. also_known: further names that references may use. graph: of its
    columns, if it is known.
    """
    problems = check_before_graph(
        config, seed_columns=seed_columns, also_known=also_known
    )
    if problems:
        return problems
    if graph is None:
        graph = build_graph(config)
    return list(check_samplers_in_graph(config, graph))


def check_before_graph(
    config: DatasetConfig,
    *,
    seed_columns: Iterable[str] | None = None,
    also_known: Iterable[str] = (),
) -> list[tuple[Path, str]]:
    """The problems without which the columns have a graph. Arguments as in `check_config`."""
    names = [column.name for column in config.columns]
    made = [*names, *producers_of(config.columns)]
    also_known = frozenset(also_known)
    open_ended = config.seed_config is not None and seed_columns is None
    known = None if open_ended else {*made, *(seed_columns or ()), *also_known}
    problems = [
        *check_size(config),
        *_check_names(config, seed_columns),
        *check_seeds(config),
        *_check_models(config),
        *check_tools(config),
        *check_processors(config, known),
        *_check_budget(config),
        *check_select(config, known),
    ]
    structs = struct_types(config.columns)
    columns = {
        column.name: column
        for column in config.columns
        if column.name not in also_known
    }
    context = SamplerContext(columns, config.seed_config is not None, also_known)
    templates_ok = True
    for index, column in enumerate(config.columns):
        faults = list(_check_templates(column))
        templates_ok &= not faults
        faults += check_sampler(column, context)
        faults += check_skip(column)
        faults += check_custom(column)
        faults += check_validation(column)
        faults += check_model_column(column)
        if not faults:
            faults += _check_references(column, known)
            faults += check_fields(column, structs)
        for path, message in faults:
            problems.append((("columns", index, *path), message))
    names_are_unique = len(set(made)) == len(made)
    if templates_ok and names_are_unique:
        for cycle in find_cycles(config):
            place = names.index(cycle[0])
            problems.append(
                (("columns", place), f"dependency cycle: {' -> '.join(cycle)}")
            )
    problems += check_constraint_names(config, known, also_known)
    return problems


def check_size(config: DatasetConfig) -> Problems:
    """Whether the number of records can be known, and made with row groups of that size."""
    if config.num_records == AS_SEED:
        if config.seed_config is None:
            yield (
                ("num_records",),
                "num_records: seed takes the number of rows in the seed data, but there is no seed_config",
            )
    elif (
        config.num_records
        and row_group_count(config.num_records, config.row_group_size) > MAX_ROW_GROUPS
    ):
        yield (
            ("row_group_size",),
            too_many_row_groups(config.num_records, config.row_group_size),
        )


def _check_names(config: DatasetConfig, seed_columns: Iterable[str] | None) -> Problems:
    counts = Counter(column.name for column in config.columns)
    for index, column in enumerate(config.columns):
        if counts[column.name] > 1:
            yield (
                ("columns", index, "name"),
                f"{counts[column.name]} columns are named {column.name!r}; rename all but one",
            )
        if column.name in RESERVED:
            yield (
                ("columns", index, "name"),
                f"{column.name!r} has another meaning in templates; rename this column",
            )
        if isinstance(column, SeedColumn):
            if config.seed_config is None:
                yield (
                    ("columns", index),
                    f"{column.name!r} is a seed column, but there is no seed_config",
                )
            elif seed_columns is not None and column.name not in seed_columns:
                there = ", ".join(map(repr, seed_columns))
                yield (
                    ("columns", index, "name"),
                    f"the seed data has no column {column.name!r}; it has {there}",
                )
        elif column.name in (seed_columns or ()):
            yield (
                ("columns", index, "name"),
                f"{column.name!r} is also a column of the seed data; rename this one",
            )
    for name in sorted(RESERVED.intersection(seed_columns or ())):
        yield (
            ("seed_config",),
            f"the seed column {name!r} has another meaning in templates; rename it in the data",
        )
    yield from _check_side_effects(config, {*counts, *(seed_columns or ())})


def _check_side_effects(config: DatasetConfig, names: set[str]) -> Problems:
    """Side-effect columns are columns: their names are as unique as those of others."""
    taken = set(names)
    for index, column in enumerate(config.columns):
        for place, name in enumerate(side_effects_of(column)):
            path: Path = ("columns", index, "name")
            if isinstance(column, CustomColumn):
                path = ("columns", index, "side_effect_columns", place)
            if name in taken:
                yield path, f"another column is named {name!r}; rename one"
            elif name in RESERVED:
                yield (
                    path,
                    f"{name!r} has another meaning in templates; rename this column",
                )
            taken.add(name)


def _check_templates(column: Column) -> Problems:
    for path, source in templates_of(column).items():
        fault = (
            condition_fault(str(path[1])) if path[0] == "conditional_params" else None
        )
        if fault is not None:
            yield path, fault
            continue
        if path[0] in ("conditional_params", "skip") and chooses(source):
            yield (
                path,
                "the filter random is allowed only in prompts and expressions; draw the value in a "
                "separate column and compare that column",
            )
        try:
            template_references(source)
        except TemplateSyntaxError as error:
            advice = (
                "write {% elif %}"
                if _ELSE_IF.search(source)
                else "where a value is written {{ name }}"
            )
            yield path, f"not a valid template: {error}; in {_shown(source)}, {advice}"


def _shown(source: str) -> str:
    """The beginning of a template, for messages."""
    text = " ".join(source.split())
    if len(text) > _MAX_SHOWN_TEMPLATE:
        text = f"{text[:_MAX_SHOWN_TEMPLATE]}..."
    return repr(text)


def _check_references(column: Column, known: set[str] | None) -> Problems:
    for name, path in references_of(column).items():
        if name == column.name:
            yield path, f"column {name!r} reads itself"
        elif known is not None and name not in known:
            yield path, f"unknown column {name!r}{did_you_mean(name, known)}"


def _check_models(config: DatasetConfig) -> Problems:
    providers = [provider.name for provider in config.model_providers]
    aliases = [model.alias for model in config.model_configs]
    for index, name in duplicates(providers):
        yield ("model_providers", index, "name"), f"another provider is named {name!r}"
    for index, name in duplicates(aliases):
        yield ("model_configs", index, "alias"), f"another model has the alias {name!r}"
    for index, model in enumerate(config.model_configs):
        if model.provider not in providers:
            yield (
                ("model_configs", index, "provider"),
                f"unknown provider {model.provider!r}{did_you_mean(model.provider, providers)}",
            )
    yield from _check_fallbacks(config)
    for index, column in enumerate(config.columns):
        for path, alias in _aliases(column):
            if alias not in aliases:
                yield (
                    ("columns", index, *path),
                    f"no model has the alias {alias!r}{did_you_mean(alias, aliases)}",
                )
    yield from _check_reply_tokens(config)
    for index, provider in enumerate(config.model_providers):
        if provider.api_key is not None and not looks_like_env_var(provider.api_key):
            message = (
                "api_key names an environment variable (such as OPENAI_API_KEY); the key itself "
                "must not be in a file"
            )
            yield ("model_providers", index, "api_key"), message


def _check_reply_tokens(config: DatasetConfig) -> Problems:
    written = [
        column.name for column in config.columns if isinstance(column, ChatColumn)
    ]
    for index, provider in enumerate(config.model_providers):
        for name in provider.simulation.reply_tokens or ():
            if name not in (*written, ANY_COLUMN):
                where: Path = (
                    "model_providers",
                    index,
                    "simulation",
                    "reply_tokens",
                    name,
                )
                yield (
                    where,
                    f"no column of text, code or JSON is named {name!r}{did_you_mean(name, written)}",
                )


def _check_budget(config: DatasetConfig) -> Problems:
    providers = {provider.name for provider in config.model_providers}
    if any(model.provider not in providers for model in config.model_configs):
        return
    models = [model for model, _ in used_models(config).values()]
    for fault in budget_faults(config.run, models):
        yield ("run", "max_cost"), fault


def _check_fallbacks(config: DatasetConfig) -> Problems:
    fallbacks = {model.alias: model.fallback for model in config.model_configs}
    for index, model in enumerate(config.model_configs):
        where: Path = ("model_configs", index, "fallback")
        if model.fallback is not None and model.fallback not in fallbacks:
            yield (
                where,
                f"no model has the alias {model.fallback!r}{did_you_mean(model.fallback, list(fallbacks))}",
            )
        elif is_circular(model.alias, fallbacks):
            yield where, f"the fallbacks of {model.alias!r} form a cycle"


def _aliases(column: Column) -> list[tuple[Path, str]]:
    match column:
        case ModelColumn():
            return [(("model_alias",), column.model_alias)]
        case CustomColumn():
            return [
                (("model_aliases", place), alias)
                for place, alias in enumerate(column.model_aliases or ())
            ]
        case _:
            return []
